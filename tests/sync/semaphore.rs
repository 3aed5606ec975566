//! Semaphores between processes.

use procession::{
    process,
    shm::Shared,
    sync::{Barrier, BoundedSemaphore, Event, RwLock, Semaphore},
};
use procession_tests::{
    DEADLINE, alone_under_each_method, alone_within, forever, holdings, kill, start,
    under_each_method,
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(30);

/// Takes permits and never gives them back.
#[process]
fn hold_permits(semaphore: &Semaphore, permits: usize, held: &Event) {
    let _guards: Vec<_> = (0..permits).map(|_| semaphore.acquire().unwrap()).collect();
    held.set();
    forever();
}

#[test]
fn permits_of_the_dead_are_counted_as_there() {
    under_each_method(|method| {
        let semaphore = Semaphore::new(3).unwrap();
        let bounded = BoundedSemaphore::new(1).unwrap();
        let held = Event::new().unwrap();
        let holder = start(method, hold_permits::new(&semaphore, 2, &held));
        held.wait().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
        kill(holder);
        assert_eq!(semaphore.available_permits(), 3);
        let guard = bounded.acquire().unwrap();
        assert_eq!(bounded.available_permits(), 0);
        drop(guard);
        assert_eq!(bounded.available_permits(), 1);
    });
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
    alone_under_each_method(|method| {
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
    alone_under_each_method(|method| {
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
    alone_within(DEADLINE, || {
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
