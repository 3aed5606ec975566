//! Locks of readers and writers between processes.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{
    process,
    sync::{Barrier, Event, LockTimeoutError, RwLock, Semaphore},
};
use procession_tests::{
    DEADLINE, alone_under_each_method, eventually, forever, holdings, kill, start, state,
    under_each_method, within,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::TryLockError,
    thread,
    time::Duration,
};

const MOMENT: Duration = Duration::from_millis(30);

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
    alone_under_each_method(|method| {
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
    alone_under_each_method(|method| {
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
    alone_under_each_method(|method| {
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
