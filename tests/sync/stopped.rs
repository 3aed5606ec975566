//! Processes that are stopped while they wait for a lock, which delay nobody, or at random moments,
//! also while they take something or give it back, which keep nobody from giving back.

use nix::libc::{SIGCONT, SIGSTOP};
use procession::{
    Child, process,
    sync::{
        Barrier, BarrierError, Condvar, Event, LockTimeoutError, Mutex, ReentrantMutex, RwLock,
        Semaphore,
    },
};
use procession_tests::{DEADLINE, eventually, forever, kill, start, state, under_each_method};
use std::{
    sync::TryLockError,
    time::{Duration, Instant},
};

/// Long enough for anything that is not held up by a stopped process.
const SOON: Duration = Duration::from_secs(20);

/// Waits until a process sleeps: it has said that it is about to.
fn asleep<T>(child: &Child<T>, about_to: &Event) {
    assert!(about_to.wait_timeout(SOON).unwrap());
    about_to.clear();
    eventually("it sleeps", || state(child.id()) == Some('S'));
}

fn stop<T>(child: &Child<T>) {
    child.signal(SIGSTOP).unwrap();
    eventually("it is stopped", || state(child.id()) == Some('T'));
}

/// Lets a stopped process go on, and waits for its value.
fn release<T>(child: Child<T>) -> T {
    child.signal(SIGCONT).unwrap();
    join(child)
}

fn join<T>(mut child: Child<T>) -> T {
    let value = child.join_timeout(SOON).unwrap();
    value.expect("it is held up by one that is stopped")
}

#[test]
fn stopped_waiter_holds_no_permit_up() {
    #[process]
    fn wait(semaphore: &Semaphore, waits: &Event) {
        waits.set();
        semaphore.acquire().unwrap().forget();
    }
    under_each_method(|method| {
        let (semaphore, waits) = (Semaphore::new(0).unwrap(), Event::new().unwrap());
        let stopped = start(method, wait::new(&semaphore, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, wait::new(&semaphore, &waits));
        asleep(&waiter, &waits);
        semaphore.add_permits(1);
        join(waiter);
        assert!(semaphore.try_acquire().unwrap().is_none());
        let none = semaphore.acquire_timeout(Duration::from_millis(20));
        assert!(none.unwrap().is_none());
        // What comes while it is stopped is not lost to it.
        semaphore.add_permits(1);
        release(stopped);
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[process]
fn write(lock: &RwLock<u64>, waits: &Event) {
    waits.set();
    *lock.write().unwrap() += 1;
}

#[process]
fn read(lock: &RwLock<u64>, waits: &Event) -> u64 {
    waits.set();
    *lock.read().unwrap()
}

#[test]
fn stopped_reader_holds_neither_readers_nor_writers_up() {
    under_each_method(|method| {
        let (lock, waits) = (RwLock::new(0).unwrap(), Event::new().unwrap());
        let guard = lock.write().unwrap();
        let stopped = start(method, read::new(&lock, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let reader = start(method, read::new(&lock, &waits));
        asleep(&reader, &waits);
        let writer = start(method, write::new(&lock, &waits));
        asleep(&writer, &waits);
        drop(guard);
        join(reader);
        join(writer);
        assert_eq!(release(stopped), 1);
    });
}

#[test]
fn stopped_writer_holds_neither_readers_nor_writers_up() {
    under_each_method(|method| {
        let (lock, waits) = (RwLock::new(0).unwrap(), Event::new().unwrap());
        let guard = lock.read().unwrap();
        let stopped = start(method, write::new(&lock, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        // It kept readers out while it could say that it waits.
        join(start(method, read::new(&lock, &waits)));
        waits.clear();
        eventually("it has no claim any more", || lock.try_read().is_ok());
        let writer = start(method, write::new(&lock, &waits));
        asleep(&writer, &waits);
        drop(guard);
        join(writer);
        release(stopped);
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn waiting_writer_comes_between_readers() {
    /// Two of these always overlap.
    #[process]
    fn read_on(lock: &RwLock<u64>, one: &Event, other: &Event) -> u32 {
        let mut times = 0;
        loop {
            let guard = lock.read().unwrap();
            times += 1;
            if *guard != 0 {
                other.set();
                return times;
            }
            other.set();
            one.wait_timeout(Duration::from_millis(5)).unwrap();
            one.clear();
        }
    }
    under_each_method(|method| {
        let lock = RwLock::new(0).unwrap();
        let (one, other) = (Event::new().unwrap(), Event::new().unwrap());
        let readers = [
            start(method, read_on::new(&lock, &one, &other)),
            start(method, read_on::new(&lock, &other, &one)),
        ];
        match lock.write_timeout(SOON) {
            Ok(mut value) => *value = 1,
            Err(error) => panic!("{error}"),
        }
        for reader in readers {
            assert!(join(reader) > 0);
        }
    });
}

#[process]
fn meet(barrier: &Barrier, waits: &Event) -> bool {
    waits.set();
    barrier.wait().is_ok()
}

#[test]
fn barrier_breaks_at_once_when_one_is_killed_and_another_is_stopped() {
    under_each_method(|method| {
        let (barrier, waits) = (Barrier::new(4).unwrap(), Event::new().unwrap());
        let mut waiters = Vec::new();
        for _ in 0..3 {
            let waiter = start(method, meet::new(&barrier, &waits));
            asleep(&waiter, &waits);
            waiters.push(waiter);
        }
        // The first may watch for the others.
        let [first, second, third] = <[_; 3]>::try_from(waiters).unwrap();
        stop(&first);
        kill(second);
        assert!(!join(third));
        assert!(matches!(barrier.wait(), Err(BarrierError::Broken)));
        assert!(!release(first));
    });
}

#[test]
fn barrier_lets_the_others_pass_when_one_has_come_and_is_stopped() {
    under_each_method(|method| {
        let (barrier, waits) = (Barrier::new(3).unwrap(), Event::new().unwrap());
        let stopped = start(method, meet::new(&barrier, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, meet::new(&barrier, &waits));
        asleep(&waiter, &waits);
        assert!(barrier.wait_timeout(SOON).unwrap().is_leader());
        assert!(join(waiter));
        assert!(release(stopped));
    });
}

#[test]
fn stopped_waiters_hold_no_mutex_up() {
    #[process]
    fn lock(mutex: &Mutex<u64>, waits: &Event) {
        waits.set();
        *mutex.lock().unwrap() += 1;
    }
    #[process]
    fn enter(mutex: &ReentrantMutex<u64>, waits: &Event) {
        waits.set();
        drop(mutex.lock().unwrap());
    }
    under_each_method(|method| {
        let (mutex, waits) = (Mutex::new(0).unwrap(), Event::new().unwrap());
        let guard = mutex.lock().unwrap();
        let stopped = start(method, lock::new(&mutex, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, lock::new(&mutex, &waits));
        asleep(&waiter, &waits);
        drop(guard);
        join(waiter);
        release(stopped);
        assert_eq!(*mutex.lock().unwrap(), 2);

        let mutex = ReentrantMutex::new(0).unwrap();
        let guard = mutex.lock().unwrap();
        let stopped = start(method, enter::new(&mutex, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, enter::new(&mutex, &waits));
        asleep(&waiter, &waits);
        drop(guard);
        join(waiter);
        release(stopped);
    });
}

#[test]
fn stopped_waiter_takes_no_notification_along() {
    #[process]
    fn wait(cell: &Mutex<u64>, filled: &Condvar, waits: &Event) {
        let guard = cell.lock().unwrap();
        waits.set();
        *filled.wait_while(guard, |value| *value == 0).unwrap() -= 1;
    }
    #[process]
    fn hear(event: &Event, waits: &Event) {
        waits.set();
        event.wait().unwrap();
    }
    under_each_method(|method| {
        let (cell, filled) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
        let waits = Event::new().unwrap();
        let stopped = start(method, wait::new(&cell, &filled, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, wait::new(&cell, &filled, &waits));
        asleep(&waiter, &waits);
        *cell.lock().unwrap() = 1;
        filled.notify_one();
        join(waiter);
        *cell.lock().unwrap() = 1;
        filled.notify_one();
        release(stopped);

        let event = Event::new().unwrap();
        let stopped = start(method, hear::new(&event, &waits));
        asleep(&stopped, &waits);
        stop(&stopped);
        let waiter = start(method, hear::new(&event, &waits));
        asleep(&waiter, &waits);
        event.set();
        join(waiter);
        release(stopped);
    });
}

#[test]
fn stopped_holder_keeps_what_it_has_and_no_wait_exceeds_its_time() {
    #[process]
    fn hold(lock: &RwLock<u64>, semaphore: &Semaphore, mutex: &Mutex<u64>, held: &Event) {
        let _held = (lock.write(), semaphore.acquire(), mutex.lock());
        held.set();
        forever()
    }
    under_each_method(|method| {
        let (lock, semaphore) = (RwLock::new(0).unwrap(), Semaphore::new(1).unwrap());
        let (mutex, held) = (Mutex::new(0).unwrap(), Event::new().unwrap());
        let holder = start(method, hold::new(&lock, &semaphore, &mutex, &held));
        assert!(held.wait_timeout(DEADLINE).unwrap());
        stop(&holder);
        let short = Duration::from_millis(20);
        let timed_out = lock.read_timeout(short);
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        let timed_out = lock.write_timeout(short);
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(semaphore.acquire_timeout(short).unwrap().is_none());
        let timed_out = mutex.lock_timeout(short);
        assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
        drop(timed_out);
        kill(holder);
        assert!(lock.read().is_err() && mutex.lock().is_err());
        assert!(semaphore.acquire_timeout(SOON).unwrap().is_some());
    });
}

/// Takes and gives back, over and over, all but so fast that it is stopped in the middle of it as
/// often as not.
#[process]
fn busy(semaphore: &Semaphore, lock: &RwLock<u64>, barrier: &Barrier, runs: &Event) {
    runs.set();
    loop {
        drop((semaphore.try_acquire(), semaphore.try_acquire()));
        drop((lock.try_read(), lock.try_read()));
        barrier.reset();
    }
}

#[test]
fn process_that_is_stopped_at_any_moment_keeps_nobody_from_giving_back() {
    under_each_method(|method| {
        let (semaphore, lock) = (Semaphore::new(2).unwrap(), RwLock::new(0).unwrap());
        let (barrier, runs) = (Barrier::new(2).unwrap(), Event::new().unwrap());
        let victim = start(method, busy::new(&semaphore, &lock, &barrier, &runs));
        assert!(runs.wait_timeout(SOON).unwrap());
        for round in 0..10 {
            let permits = [(); 2].map(|()| {
                loop {
                    if let Some(permit) = semaphore.acquire_timeout(SOON).unwrap() {
                        break permit;
                    }
                }
            });
            let guard = lock.read().unwrap();
            std::thread::sleep(Duration::from_micros(round * 137));
            victim.signal(SIGSTOP).unwrap();
            eventually("it is stopped", || state(victim.id()) == Some('T'));
            let begun = Instant::now();
            let [given, forgotten] = permits;
            drop(given);
            forgotten.forget();
            semaphore.add_permits(1);
            drop(guard);
            lock.clear_poison();
            barrier.abort();
            assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err());
            assert!(begun.elapsed() < SOON, "they wait for a stopped process");
            victim.signal(SIGCONT).unwrap();
        }
        kill(victim);
        let all = [(); 2].map(|()| semaphore.acquire_timeout(SOON).unwrap().unwrap());
        assert!(semaphore.try_acquire().unwrap().is_none());
        drop(all);
        assert_eq!(semaphore.available_permits(), 2);
        drop(lock.write().unwrap());
        barrier.abort();
        assert!(barrier.is_broken());
        barrier.reset();
        assert!(!barrier.is_broken());
    });
}
