//! Mutexes between processes and what waits under them.

use crate::hostile::{Disguise, FIXED, label, memory};
use nix::fcntl::SealFlag;
use procession::{
    ErrorKind, Fd, StartMethod, process,
    sync::{Event, LockTimeoutError, Mutex, ReentrantMutex, RwLock, Semaphore},
};
use procession_tests::{
    DEADLINE, alone_under_each_method, by, chain, descriptors, forever, holdings, kill, start,
    under_each_method, within,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Takes the lock and never gives it back.
#[process]
fn hold(mutex: &Mutex<u64>, held: &Event) {
    let mut guard = mutex.lock().unwrap();
    *guard = 7;
    held.set();
    forever()
}

#[test]
fn counter_is_right_whoever_counts() {
    #[process]
    fn count(counter: &Mutex<u64>, times: u32) {
        for _ in 0..times {
            let mut guard = counter.lock().unwrap();
            let before = *guard;
            *guard = before + 1;
        }
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let counter = Mutex::new(0).unwrap();
        let counters: Vec<_> = (0..3)
            .map(|_| start(method, count::new(&counter, 5000)))
            .collect();
        count(&counter, 5000);
        for counter in counters {
            counter.join().unwrap();
        }
        assert_eq!(*counter.lock().unwrap(), 20_000);
        drop(counter);
        assert_eq!(holdings(), before);
    });
}

#[test]
fn killed_holder_poisons_and_blocks_nobody() {
    alone_under_each_method(|method| {
        let before = descriptors();
        let (mutex, held) = (Mutex::new(0).unwrap(), Event::new().unwrap());
        let holder = start(method, hold::new(&mutex, &held));
        held.wait().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        kill(holder);
        assert!(!mutex.is_poisoned());
        let guard = mutex.lock().unwrap_err().into_inner();
        assert_eq!(*guard, 7);
        drop(guard);
        assert!(mutex.is_poisoned());
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        mutex.clear_poison();
        *mutex.lock().unwrap() = 8;
        assert_eq!(*mutex.clone().lock().unwrap(), 8);
        drop((mutex, held));
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn waiter_gets_on_when_the_holder_is_killed() {
    #[process]
    fn wait(mutex: &Mutex<u64>, waits: &Event) -> bool {
        waits.set();
        mutex.lock().is_err()
    }
    under_each_method(|method| {
        let (mutex, held, waits) = (
            Mutex::new(0).unwrap(),
            Event::new().unwrap(),
            Event::new().unwrap(),
        );
        let holder = start(method, hold::new(&mutex, &held));
        held.wait().unwrap();
        let waiter = start(method, wait::new(&mutex, &waits));
        waits.wait().unwrap();
        kill(holder);
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn panicking_holder_poisons() {
    #[process]
    fn fail(mutex: &Mutex<u64>) {
        let _guard = mutex.lock().unwrap();
        panic!("with the lock");
    }
    under_each_method(|method| {
        let mutex = Mutex::new(0).unwrap();
        start(method, fail::new(&mutex)).join().unwrap_err();
        assert!(mutex.is_poisoned());
        assert!(mutex.lock().is_err());
    });
}

#[test]
fn lock_is_waited_for_no_longer_than_asked() {
    under_each_method(|method| {
        let (mutex, held) = (Mutex::new(0).unwrap(), Event::new().unwrap());
        let holder = start(method, hold::new(&mutex, &held));
        held.wait().unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(50)] {
            let begin = Instant::now();
            let error = mutex.lock_timeout(timeout).unwrap_err();
            assert!(matches!(error, LockTimeoutError::TimedOut));
            assert!(begin.elapsed() >= timeout);
        }
        kill(holder);
        let error = mutex.lock_timeout(Duration::MAX).unwrap_err();
        assert!(matches!(error, LockTimeoutError::Poisoned(_)));
    });
}

#[test]
fn thread_that_locks_what_it_holds_panics() {
    within(DEADLINE, || {
        let mutex = Mutex::new(0).unwrap();
        let guard = mutex.lock().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        let again = catch_unwind(AssertUnwindSafe(|| mutex.lock().map(drop).ok()));
        assert!(again.is_err());
        drop(guard);
        assert!(!mutex.is_poisoned());
        assert!(mutex.lock().is_ok());
    });
}

#[test]
fn leaked_guard_is_never_a_second_reference() {
    within(DEADLINE, || {
        let mutex = Mutex::new(5_u64).unwrap();
        let theirs = mutex.clone();
        thread::spawn(move || mem::forget(theirs.lock().unwrap()))
            .join()
            .unwrap();
        // The thread has died with the lock, but what it was lent may still be around.
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| mutex.lock().map(drop))).is_err());
        }
        assert!(mutex.is_poisoned());
    });
}

#[test]
fn handles_travel_at_any_depth_and_back() {
    #[derive(Serialize, Deserialize)]
    struct Locks {
        by_name: HashMap<String, Vec<Option<Mutex<u64>>>>,
    }
    #[process]
    fn add(locks: Locks) -> (Locks, Mutex<[u32; 2]>) {
        let mutex = locks.by_name["one"][1].as_ref().unwrap();
        *mutex.lock().unwrap() += 1;
        (locks, Mutex::new([1, 2]).unwrap())
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let mutex = Mutex::new(1).unwrap();
        let locks = Locks {
            by_name: HashMap::from([("one".to_owned(), vec![None, Some(mutex.clone())])]),
        };
        let (locks, made) = start(method, add::new(locks)).join().unwrap();
        *locks.by_name["one"][1].as_ref().unwrap().lock().unwrap() += 1;
        assert_eq!(*mutex.lock().unwrap(), 3);
        assert_eq!(*made.lock().unwrap(), [1, 2]);
        drop((mutex, locks, made));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn what_is_no_such_mutex_is_refused() {
    #[process]
    fn take<T: Serialize>(disguise: Disguise<T, Mutex<u64>>) -> u64 {
        match disguise {
            Disguise::Arrived(mutex) => *mutex.lock().unwrap(),
            Disguise::Sent(_) => 0,
        }
    }
    #[track_caller]
    fn assert_refused<T: Serialize + 'static>(method: StartMethod, sent: T, why: &str) {
        let error = by(method)
            .spawn(take::new(Disguise::Sent(sent)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let text = chain(&error);
        assert!(text.iter().any(|text| text.contains(why)), "{text:?}");
    }
    alone_under_each_method(|method| {
        let before = descriptors();
        let mutex = Mutex::new(3_u64).unwrap();
        let child = by(method);
        let child = child.spawn(take::new(Disguise::Sent(mutex))).unwrap();
        assert_eq!(child.join().unwrap(), 3);

        let other_type = Mutex::new([1_u32, 2, 3]).unwrap();
        assert_refused(
            method,
            other_type,
            "holds 12 bytes aligned to 4, which is no `u64`",
        );
        let other_handle = ReentrantMutex::new(1_u64).unwrap();
        assert_refused(
            method,
            other_handle,
            "a `ReentrantMutex` came where a `Mutex` was expected",
        );
        let another_build = (label("Mutex", 77), memory(4096, FIXED));
        assert_refused(method, another_build, "is of another build");
        let shrinkable = (label("Mutex", 1), memory(4096, SealFlag::empty()));
        assert_refused(method, shrinkable, "is not sealed");
        let short = (label("Mutex", 1), memory(100, FIXED));
        assert_refused(method, short, "has 100 bytes, and not");
        let no_memory = (label("Mutex", 1), Fd(File::open("/dev/zero").unwrap()));
        assert_refused(method, no_memory, "something else than memory");
        let no_descriptor = (label("Mutex", 1), 5);
        assert_refused(method, no_descriptor, "no descriptor 5");
        assert_eq!(descriptors(), before);
    });
}

/// Runs what must not make a system call in a thread that dies of the first one, and its process
/// with it.
fn without_system_calls(act: fn()) -> bool {
    static DONE: AtomicBool = AtomicBool::new(false);
    let filter = SeccompFilter::new(
        BTreeMap::new(),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH).unwrap(),
    );
    let program = BpfProgram::try_from(filter.unwrap()).unwrap();
    // It cannot even end.
    thread::spawn(move || {
        act();
        seccompiler::apply_filter(&program).unwrap();
        act();
        DONE.store(true, Relaxed);
        loop {
            std::hint::spin_loop();
        }
    });
    while !DONE.load(Relaxed) {
        thread::yield_now();
    }
    true
}

#[test]
fn free_lock_is_taken_and_given_back_without_a_system_call() {
    fn mutexes() {
        thread_local! {
            static MUTEX: Mutex<u64> = Mutex::new(0).unwrap();
            static REENTRANT: ReentrantMutex<u64> = ReentrantMutex::new(0).unwrap();
        }
        MUTEX.with(|mutex| *mutex.lock().unwrap() += 1);
        MUTEX.with(|mutex| *mutex.lock_timeout(Duration::from_secs(1)).unwrap() += 1);
        REENTRANT.with(|mutex| drop((mutex.lock().unwrap(), mutex.lock().unwrap())));
    }
    fn shares() {
        thread_local! {
            static LOCK: RwLock<u64> = RwLock::new(0).unwrap();
            static SEMAPHORE: Semaphore = Semaphore::new(3).unwrap();
        }
        LOCK.with(|lock| drop((lock.read().unwrap(), lock.read().unwrap())));
        LOCK.with(|lock| *lock.write().unwrap() += 1);
        SEMAPHORE.with(|semaphore| drop((semaphore.acquire(), semaphore.acquire())));
    }
    #[process]
    fn measure(shared: bool) -> bool {
        without_system_calls(if shared { shares } else { mutexes })
    }
    #[process]
    fn measure_a_call() -> bool {
        without_system_calls(thread::yield_now)
    }
    alone_under_each_method(|method| {
        for shared in [false, true] {
            assert!(start(method, measure::new(shared)).join().unwrap());
        }
        let error = start(method, measure_a_call::new()).join().unwrap_err();
        assert_eq!(error.signal(), Some(31));
    });
}

#[test]
fn thread_takes_a_reentrant_mutex_again() {
    #[process]
    fn count(mutex: &ReentrantMutex<AtomicU64>) {
        for _ in 0..1000 {
            let outer = mutex.lock().unwrap();
            let before = outer.load(Relaxed);
            let inner = mutex.try_lock().unwrap();
            inner.store(before + 1, Relaxed);
            drop(outer);
        }
    }
    #[process]
    fn hold_twice(mutex: &ReentrantMutex<AtomicU64>, held: &Event) {
        let _guards = (mutex.lock().unwrap(), mutex.lock().unwrap());
        held.set();
        forever()
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let mutex = ReentrantMutex::new(AtomicU64::new(0)).unwrap();
        let counters = [
            start(method, count::new(&mutex)),
            start(method, count::new(&mutex)),
        ];
        for counter in counters {
            counter.join().unwrap();
        }
        assert_eq!(mutex.lock().unwrap().load(Relaxed), 2000);
        let held = Event::new().unwrap();
        let holder = start(method, hold_twice::new(&mutex, &held));
        held.wait().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        let timed_out = mutex.lock_timeout(Duration::from_millis(10));
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        kill(holder);
        drop(mutex.lock().unwrap_err());
        mutex.clear_poison();
        drop((mutex.lock().unwrap(), mutex.lock().unwrap()));
        drop((mutex, held));
        assert_eq!(holdings(), before);
    });
}
