//! Semaphores, readers and writers, and events between processes. Tests that count or kill take turns.

#![allow(missing_docs, reason = "a test")]

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::resource::{Resource, getrlimit, setrlimit},
};
use procession::{
    process,
    shm::Shared,
    sync::{Barrier, BoundedSemaphore, Event, LockTimeoutError, RwLock, Semaphore},
};
use procession_tests::{
    DEADLINE, alone, change, eventually, holdings, kill, start, state, under_each_method, within,
};
use std::{
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        OnceLock, TryLockError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

fn forever() -> ! {
    loop {
        thread::park();
    }
}

const MOMENT: Duration = Duration::from_millis(30);

/// Takes permits and never gives them back.
#[process]
fn hold_permits(semaphore: &Semaphore, permits: usize, held: &Event) {
    let _guards: Vec<_> = (0..permits).map(|_| semaphore.acquire().unwrap()).collect();
    held.set();
    forever();
}

#[test]
fn no_more_than_the_permits_are_had() {
    #[process]
    fn work(semaphore: &Semaphore, now: &Shared<AtomicU64>, most: &Shared<AtomicU64>) {
        for _ in 0..500 {
            let _guard = semaphore.acquire().unwrap();
            most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
            thread::yield_now();
            now.fetch_sub(1, Relaxed);
        }
    }
    let _alone = alone();
    under_each_method(|method| {
        let before = holdings();
        let semaphore = Semaphore::new(2).unwrap();
        let now = Shared::new(AtomicU64::new(0)).unwrap();
        let most = Shared::new(AtomicU64::new(0)).unwrap();
        let workers: Vec<_> = (0..4)
            .map(|_| start(method, work::new(&semaphore, &now, &most)))
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(now.load(Relaxed), 0);
        assert!((1..=2).contains(&most.load(Relaxed)));
        assert_eq!(semaphore.available_permits(), 2);
        let both = [(); 2].map(|()| semaphore.try_acquire().unwrap());
        assert!(both.iter().all(Option::is_some));
        drop(both);
        drop((semaphore, now, most));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn permits_of_a_killed_process_come_back() {
    #[process]
    fn wait(semaphore: &Semaphore, waits: &Event) {
        waits.set();
        drop(semaphore.acquire().unwrap());
    }
    let _alone = alone();
    under_each_method(|method| {
        let before = holdings();
        let semaphore = Semaphore::new(3).unwrap();
        let (held, waits) = (Event::new().unwrap(), Event::new().unwrap());
        let holder = start(method, hold_permits::new(&semaphore, 3, &held));
        held.wait().unwrap();
        let waiter = start(method, wait::new(&semaphore, &waits));
        waits.wait().unwrap();
        assert!(semaphore.try_acquire().unwrap().is_none());
        let begin = Instant::now();
        assert!(semaphore.acquire_timeout(MOMENT).unwrap().is_none());
        assert!(begin.elapsed() >= MOMENT);
        kill(holder);
        waiter.join().unwrap();
        let all: Vec<_> = (0..3)
            .map(|_| semaphore.try_acquire().unwrap().unwrap())
            .collect();
        assert!(semaphore.try_acquire().unwrap().is_none());
        drop(all);
        drop((semaphore, held, waits));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn permits_of_a_killed_process_come_back_to_who_does_not_wait() {
    let _alone = alone();
    under_each_method(|method| {
        let (semaphore, held) = (Semaphore::new(1).unwrap(), Event::new().unwrap());
        let holder = start(method, hold_permits::new(&semaphore, 1, &held));
        held.wait().unwrap();
        kill(holder);
        assert!(semaphore.try_acquire().unwrap().is_some());
    });
}

#[test]
fn killed_waiters_take_no_permit_along() {
    #[process]
    fn wait(semaphore: &Semaphore, waits: &Event) {
        waits.set();
        drop(semaphore.acquire().unwrap());
        forever();
    }
    let _alone = alone();
    under_each_method(|method| {
        let semaphore = Semaphore::new(1).unwrap();
        let guard = semaphore.acquire().unwrap();
        let mut waiters = Vec::new();
        for _ in 0..3 {
            let waits = Event::new().unwrap();
            waiters.push(start(method, wait::new(&semaphore, &waits)));
            waits.wait().unwrap();
        }
        kill(waiters.remove(0));
        drop(guard);
        for waiter in waiters {
            kill(waiter);
        }
        assert!(semaphore.acquire_timeout(DEADLINE).unwrap().is_some());
    });
}

#[test]
fn bound_is_kept() {
    #[process]
    fn give_back(semaphore: &BoundedSemaphore) -> [bool; 3] {
        let guard = semaphore.acquire().unwrap();
        let too_many = semaphore.add_permits(1).is_err();
        guard.forget();
        let enough = semaphore.add_permits(1).is_ok();
        [too_many, enough, semaphore.add_permits(1).is_err()]
    }
    let _alone = alone();
    under_each_method(|method| {
        let semaphore = BoundedSemaphore::new(2).unwrap();
        let child = start(method, give_back::new(&semaphore));
        assert_eq!(child.join().unwrap(), [true; 3]);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn permits_are_added_to_who_waits() {
    #[process]
    fn wait(semaphore: &Semaphore) {
        semaphore.acquire().unwrap().forget();
    }
    let _alone = alone();
    under_each_method(|method| {
        let semaphore = Semaphore::new(0).unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| start(method, wait::new(&semaphore)))
            .collect();
        semaphore.add_permits(3);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn threads_of_one_process_are_as_good_as_processes() {
    within(DEADLINE, || {
        let _alone = alone();
        let before = holdings();
        let (semaphore, lock) = (Semaphore::new(1).unwrap(), RwLock::new(0_u64).unwrap());
        let barrier = Barrier::new(4).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let _permit = semaphore.acquire().unwrap();
                        let value = *lock.read().unwrap();
                        *lock.write().unwrap() = value + 1;
                    }
                    barrier.wait().unwrap();
                    assert_eq!(*lock.read().unwrap(), 1200);
                });
            }
        });
        drop((semaphore, lock, barrier));
        assert_eq!(holdings(), before);
    });
}

/// Takes the lock to write, and never gives it back.
#[process]
fn hold_to_write(lock: &RwLock<[u64; 2]>, held: &Event) {
    let mut guard = lock.write().unwrap();
    guard[0] = 1;
    held.set();
    forever();
}

/// Takes the lock to read, and never gives it back.
#[process]
fn hold_to_read(lock: &RwLock<[u64; 2]>, held: &Event) {
    let _guard = lock.read().unwrap();
    held.set();
    forever();
}

#[test]
fn readers_never_see_half_of_a_change() {
    #[process]
    fn write(lock: &RwLock<[u64; 2]>) {
        for _ in 0..500 {
            let mut guard = lock.write().unwrap();
            guard[0] += 1;
            thread::yield_now();
            guard[1] += 1;
        }
    }
    #[process]
    fn read(lock: &RwLock<[u64; 2]>) {
        loop {
            let pair = *lock.read().unwrap();
            assert_eq!(pair[0], pair[1]);
            if pair[0] == 1000 {
                return;
            }
            thread::yield_now();
        }
    }
    let _alone = alone();
    under_each_method(|method| {
        let before = holdings();
        let lock = RwLock::new([0; 2]).unwrap();
        let readers = [
            start(method, read::new(&lock)),
            start(method, read::new(&lock)),
        ];
        let writers = [
            start(method, write::new(&lock)),
            start(method, write::new(&lock)),
        ];
        for child in readers.into_iter().chain(writers) {
            child.join().unwrap();
        }
        drop(lock);
        assert_eq!(holdings(), before);
    });
}

#[test]
fn killed_writer_poisons_and_blocks_nobody() {
    #[process]
    fn wait(lock: &RwLock<[u64; 2]>, waits: &Event) -> u64 {
        waits.set();
        lock.read().unwrap_err().into_inner()[0]
    }
    let _alone = alone();
    under_each_method(|method| {
        let before = holdings();
        let lock = RwLock::new([0; 2]).unwrap();
        let (held, waits) = (Event::new().unwrap(), Event::new().unwrap());
        let writer = start(method, hold_to_write::new(&lock, &held));
        held.wait().unwrap();
        let reader = start(method, wait::new(&lock, &waits));
        waits.wait().unwrap();
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        let timed_out = lock.read_timeout(MOMENT);
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        let timed_out = lock.write_timeout(MOMENT);
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        kill(writer);
        assert_eq!(reader.join().unwrap(), 1);
        assert!(lock.is_poisoned());
        assert_eq!(lock.write().unwrap_err().into_inner()[0], 1);
        lock.clear_poison();
        assert_eq!(lock.write().unwrap()[0], 1);
        drop((lock, held, waits));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn killed_reader_poisons_nothing_and_blocks_nobody() {
    let _alone = alone();
    under_each_method(|method| {
        let lock = RwLock::new([0; 2]).unwrap();
        let held = [Event::new().unwrap(), Event::new().unwrap()];
        let readers = held
            .clone()
            .map(|held| start(method, hold_to_read::new(&lock, &held)));
        for held in held {
            held.wait().unwrap();
        }
        drop(lock.read().unwrap());
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        for reader in readers {
            kill(reader);
        }
        lock.write().unwrap()[1] = 1;
        assert!(!lock.is_poisoned());
    });
}

#[test]
fn killed_waiting_writer_lets_readers_in() {
    #[process]
    fn wait(lock: &RwLock<[u64; 2]>, waits: &Event) {
        waits.set();
        lock.write().unwrap()[0] = 9;
    }
    let _alone = alone();
    under_each_method(|method| {
        let (lock, held, waits) = (
            RwLock::new([0; 2]).unwrap(),
            Event::new().unwrap(),
            Event::new().unwrap(),
        );
        let reader = start(method, hold_to_read::new(&lock, &held));
        held.wait().unwrap();
        let writer = start(method, wait::new(&lock, &waits));
        waits.wait().unwrap();
        eventually("the writer waits", || lock.try_read().is_err());
        kill(writer);
        drop(lock.try_read().unwrap());
        drop(lock.read().unwrap());
        kill(reader);
        assert_eq!(lock.write().unwrap()[0], 0);
    });
}

#[test]
fn panicking_writer_poisons_and_panicking_reader_does_not() {
    within(DEADLINE, || {
        let _alone = alone();
        let lock = RwLock::new(0_u8).unwrap();
        let read = || {
            let _guard = lock.read().unwrap();
            panic!("with the lock");
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_err();
        assert!(!lock.is_poisoned());
        let write = || {
            let _guard = lock.write().unwrap();
            panic!("with the lock");
        };
        catch_unwind(AssertUnwindSafe(write)).unwrap_err();
        assert!(lock.read().is_err() && lock.try_write().is_err());
    });
}

#[test]
fn event_is_seen_by_all_until_it_is_cleared() {
    #[process]
    fn wait(event: &Event) -> bool {
        event.wait().unwrap();
        event.is_set()
    }
    let _alone = alone();
    under_each_method(|method| {
        let before = holdings();
        let event = Event::new().unwrap();
        assert!(!event.is_set());
        let begin = Instant::now();
        assert!(!event.wait_timeout(MOMENT).unwrap());
        assert!(begin.elapsed() >= MOMENT);
        let ready = |event: &Event| {
            let mut fds = [PollFd::new(event.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
        };
        assert!(!ready(&event));
        let waiters: Vec<_> = (0..3).map(|_| start(method, wait::new(&event))).collect();
        event.set();
        event.set();
        assert!(ready(&event));
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
        event.clear();
        assert!(!event.is_set());
        drop(event);
        assert_eq!(holdings(), before);
    });
}

#[test]
fn waits_go_on_without_descriptors() {
    #[process]
    fn wait(lock: &RwLock<[u64; 2]>, semaphore: &Semaphore, barrier: &Barrier, waits: &Event) {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        waits.set();
        // The writer is killed, and the permit is given back.
        drop(lock.read().unwrap_err());
        drop(lock.write().unwrap_err());
        drop(semaphore.acquire().unwrap());
        barrier.wait().unwrap();
    }
    let _alone = alone();
    under_each_method(|method| {
        let (lock, semaphore) = (RwLock::new([0; 2]).unwrap(), Semaphore::new(1).unwrap());
        let (held, waits) = (Event::new().unwrap(), Event::new().unwrap());
        let barrier = Barrier::new(2).unwrap();
        let writer = start(method, hold_to_write::new(&lock, &held));
        held.wait().unwrap();
        let permit = semaphore.acquire().unwrap();
        let waiter = start(method, wait::new(&lock, &semaphore, &barrier, &waits));
        waits.wait().unwrap();
        eventually("it waits", || state(waiter.id()) == Some('S'));
        kill(writer);
        eventually("it is at the semaphore", || lock.is_poisoned());
        drop(permit);
        barrier.wait().unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn event_is_set_by_a_handler_of_a_signal() {
    static EVENT: OnceLock<Event> = OnceLock::new();
    extern "C" fn handle(_: i32) {
        if let Some(event) = EVENT.get() {
            event.set();
        }
    }
    #[process]
    fn work(event: &Event, ready: &Event) {
        EVENT.set(event.clone()).unwrap();
        change::handler(nix::libc::SIGUSR1, handle);
        ready.set();
        forever();
    }
    let _alone = alone();
    under_each_method(|method| {
        let (event, ready) = (Event::new().unwrap(), Event::new().unwrap());
        let worker = start(method, work::new(&event, &ready));
        ready.wait().unwrap();
        assert!(!event.is_set());
        worker.signal(nix::libc::SIGUSR1).unwrap();
        assert!(event.wait_timeout(DEADLINE).unwrap());
        kill(worker);
    });
}
