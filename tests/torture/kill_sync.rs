//! Processes that are killed in the middle of what they do with locks and shared memory, at random
//! moments, and stopped before. Those that are left get on each time, and find everything whole.

use crate::{in_turn, moment, rounds};
use nix::libc::{SIGCONT, SIGSTOP};
use procession::{
    Child, Process, StartMethod, process,
    shm::{Shared, SharedSlice},
    sync::{
        Barrier, BarrierError, Condvar, Event, LockTimeoutError, Mutex, ReentrantMutex, RwLock,
        Semaphore,
    },
};
use procession_tests::kill;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// What a survivor may have to wait on a machine that does other things as well: what is lost does
/// not come back later.
const SOON: Duration = Duration::from_secs(20);

/// Starts a process: most by the helper, which is the fastest, and some by themselves.
fn start<P: Process>(process: P) -> Child<P::Output> {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let method = match STARTED.fetch_add(1, Relaxed) % 16 {
        15 => StartMethod::Spawn,
        _ => StartMethod::ForkServer,
    };
    procession_tests::start(method, process)
}

/// Any moment will do, and each time another.
fn pause() {
    thread::sleep(moment(1200));
}

/// Kills two of three processes at random moments, over and over, one of them stopped before, and
/// has a survivor act after each time. The third is stopped for a moment, too.
fn kill_over_and_over(victim: impl Fn() -> Child<()>, mut survive: impl FnMut()) {
    let begun = Instant::now();
    let witness = victim();
    let (mut killed, mut longest) = (0, Duration::ZERO);
    for round in rounds(ROUNDS) {
        let victims = [victim(), victim()];
        pause();
        if round % 2 == 0 {
            victims[0].signal(SIGSTOP).unwrap();
            pause();
            witness.signal(SIGSTOP).unwrap();
            pause();
            witness.signal(SIGCONT).unwrap();
        }
        for victim in victims.iter().rev() {
            victim.kill().unwrap();
            pause();
        }
        let since = Instant::now();
        survive();
        longest = longest.max(since.elapsed());
        assert!(
            since.elapsed() < SOON,
            "round {round}: {:?}",
            since.elapsed()
        );
        for mut victim in victims {
            victim.wait().unwrap();
            killed += 1;
        }
        // Now they have ended for sure, and not just about to.
        survive();
        assert!(witness.is_alive());
    }
    eprintln!(
        "{killed} killed in {:?}, {longest:?} at most to go on",
        begun.elapsed()
    );
    kill(witness);
}

/// How many times each lock is left by two who are killed.
const ROUNDS: u32 = 300;

/// Changes both halves, one after the other.
fn change(pair: &mut [u64; 2]) {
    pair[0] += 1;
    thread::yield_now();
    pair[1] += 1;
}

#[test]
fn mutex_survives() {
    #[process]
    fn work(mutex: &Mutex<[u64; 2]>) {
        loop {
            match mutex.lock() {
                Ok(mut pair) => change(&mut pair),
                Err(poisoned) => {
                    *poisoned.into_inner() = [0; 2];
                    mutex.clear_poison();
                }
            }
        }
    }
    in_turn(|| {
        let mutex = Mutex::new([0; 2]).unwrap();
        kill_over_and_over(
            || start(work::new(&mutex)),
            || match mutex.lock_timeout(SOON) {
                Ok(mut pair) => {
                    assert_eq!(pair[0], pair[1], "half a change is said to be whole");
                    change(&mut pair);
                }
                Err(LockTimeoutError::Poisoned(poisoned)) => {
                    *poisoned.into_inner() = [0; 2];
                    mutex.clear_poison();
                }
                Err(LockTimeoutError::TimedOut) => panic!("the lock was not had"),
            },
        );
    });
}

#[test]
fn reentrant_mutex_survives() {
    #[process]
    fn work(mutex: &ReentrantMutex<[AtomicU64; 2]>) {
        loop {
            let outer = mutex.lock().unwrap_or_else(|poisoned| {
                mutex.clear_poison();
                let guard = poisoned.into_inner();
                let value = guard[0].load(Relaxed);
                guard[1].store(value, Relaxed);
                guard
            });
            outer[0].fetch_add(1, Relaxed);
            let inner = mutex.lock().unwrap();
            drop(outer);
            inner[1].fetch_add(1, Relaxed);
        }
    }
    in_turn(|| {
        let mutex = ReentrantMutex::new([const { AtomicU64::new(0) }; 2]).unwrap();
        kill_over_and_over(
            || start(work::new(&mutex)),
            || match mutex.lock_timeout(SOON) {
                Ok(pair) => assert_eq!(pair[0].load(Relaxed), pair[1].load(Relaxed)),
                Err(LockTimeoutError::Poisoned(poisoned)) => {
                    let pair = poisoned.into_inner();
                    pair[1].store(pair[0].load(Relaxed), Relaxed);
                    mutex.clear_poison();
                }
                Err(LockTimeoutError::TimedOut) => panic!("the lock was not had"),
            },
        );
    });
}

#[test]
fn rwlock_survives() {
    #[process]
    fn work(lock: &RwLock<[u64; 2]>) {
        loop {
            for _ in 0..3 {
                if let Ok(pair) = lock.read() {
                    assert_eq!(pair[0], pair[1]);
                    thread::yield_now();
                }
            }
            match lock.write() {
                Ok(mut pair) => change(&mut pair),
                Err(poisoned) => {
                    *poisoned.into_inner() = [0; 2];
                    lock.clear_poison();
                }
            }
        }
    }
    in_turn(|| {
        let lock = RwLock::new([0; 2]).unwrap();
        kill_over_and_over(
            || start(work::new(&lock)),
            || {
                match lock.read_timeout(SOON) {
                    Ok(pair) => assert_eq!(pair[0], pair[1], "half a change is said to be whole"),
                    Err(LockTimeoutError::Poisoned(_)) => {}
                    Err(LockTimeoutError::TimedOut) => panic!("the lock was not had to read"),
                }
                match lock.write_timeout(SOON) {
                    Ok(mut pair) => change(&mut pair),
                    Err(LockTimeoutError::Poisoned(poisoned)) => *poisoned.into_inner() = [0; 2],
                    Err(LockTimeoutError::TimedOut) => panic!("the lock was not had to write"),
                }
            },
        );
        // The last one may have been killed as it wrote, which shows now.
        drop(lock.try_read());
        lock.clear_poison();
        drop(lock.try_read().unwrap());
        drop(lock.try_write().unwrap());
    });
}

#[test]
fn semaphore_survives() {
    #[process]
    fn work(semaphore: &Semaphore) {
        loop {
            let one = semaphore.acquire().unwrap();
            let other = semaphore.try_acquire().unwrap();
            thread::yield_now();
            drop((one, other));
        }
    }
    in_turn(|| {
        let semaphore = Semaphore::new(2).unwrap();
        kill_over_and_over(
            || start(work::new(&semaphore)),
            || {
                let guard = semaphore.acquire_timeout(SOON).unwrap();
                assert!(guard.is_some(), "no permit was had");
            },
        );
        // None is lost, and none is there twice.
        let all = [(); 2].map(|()| semaphore.try_acquire().unwrap().unwrap());
        assert!(semaphore.try_acquire().unwrap().is_none());
        drop(all);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn condvar_survives() {
    /// Takes what was put there, and says how much it has taken.
    #[process]
    fn work(cell: &Mutex<[u64; 2]>, changed: &Condvar) {
        loop {
            let guard = cell.lock().unwrap_or_else(|poisoned| {
                cell.clear_poison();
                poisoned.into_inner()
            });
            if let Ok(mut guard) = changed.wait_while(guard, |cell| cell[0] == cell[1]) {
                guard[1] = guard[0];
                changed.notify_one();
            }
        }
    }
    in_turn(|| {
        let (cell, changed) = (Mutex::new([0; 2]).unwrap(), Condvar::new().unwrap());
        let lock = || {
            cell.lock().unwrap_or_else(|poisoned| {
                cell.clear_poison();
                poisoned.into_inner()
            })
        };
        kill_over_and_over(
            || start(work::new(&cell, &changed)),
            || {
                lock()[0] += 1;
                changed.notify_one();
                // A notification may be for one who was being killed: the other one takes what
                // there is.
                let deadline = Instant::now() + SOON;
                let mut guard = lock();
                while guard[0] != guard[1] && Instant::now() < deadline {
                    let left = deadline.saturating_duration_since(Instant::now());
                    guard = match changed.wait_timeout(guard, left) {
                        Ok((guard, _)) => guard,
                        Err(poisoned) => {
                            cell.clear_poison();
                            poisoned.into_inner().0
                        }
                    };
                }
                assert_eq!(guard[0], guard[1], "the notification was lost");
            },
        );
    });
}

#[test]
fn event_survives() {
    #[process]
    fn work(event: &Event, heard: &Shared<AtomicU64>) {
        loop {
            event.wait().unwrap();
            heard.fetch_add(1, Relaxed);
            event.set();
        }
    }
    in_turn(|| {
        let (event, heard) = (
            Event::new().unwrap(),
            Shared::new(AtomicU64::new(0)).unwrap(),
        );
        kill_over_and_over(
            || start(work::new(&event, &heard)),
            || {
                event.set();
                let before = heard.load(Relaxed);
                let deadline = Instant::now() + SOON;
                while heard.load(Relaxed) == before {
                    assert!(Instant::now() < deadline, "nobody hears it");
                    thread::yield_now();
                }
                assert!(event.wait_timeout(SOON).unwrap());
            },
        );
        event.clear();
        assert!(!event.is_set());
    });
}

#[test]
fn barrier_survives() {
    #[process]
    fn work(barrier: &Barrier) {
        loop {
            // One resets it, and the others wait for that: a reset breaks the wait of those who
            // have come since the last one.
            while barrier.wait().is_err() && barrier.is_broken() {
                thread::yield_now();
            }
        }
    }
    in_turn(|| {
        let barrier = Barrier::new(2).unwrap();
        kill_over_and_over(
            || start(work::new(&barrier)),
            || loop {
                match barrier.wait_timeout(SOON) {
                    Ok(_) => break,
                    // One was killed at it.
                    Err(BarrierError::Broken) if barrier.is_broken() => barrier.reset(),
                    Err(BarrierError::Broken) => {}
                    Err(error) => panic!("nobody came: {error}"),
                }
            },
        );
        assert_eq!(barrier.parties(), 2);
        barrier.reset();
        assert_eq!(barrier.n_waiting(), 0);
    });
}

#[test]
fn shared_memory_and_its_names_survive() {
    #[process]
    fn work(slice: &SharedSlice<u64>, count: &Shared<AtomicU64>, name: &str) {
        loop {
            count.fetch_add(1, Relaxed);
            let published = slice.publish(name);
            for index in 0..slice.len() {
                slice.set(index, 7);
            }
            drop(published);
            drop(SharedSlice::<u64>::open(name));
        }
    }
    in_turn(|| {
        let slice = SharedSlice::from_slice(&[7_u64; 1000]).unwrap();
        let count = Shared::new(AtomicU64::new(0)).unwrap();
        let name = format!("killed-{}", std::process::id());
        kill_over_and_over(
            || start(work::new(&slice, &count, &name)),
            || {
                let before = count.load(Relaxed);
                let deadline = Instant::now() + SOON;
                while count.load(Relaxed) == before {
                    assert!(Instant::now() < deadline, "nobody works");
                    thread::yield_now();
                }
                match SharedSlice::<u64>::open(&name) {
                    Ok(slice) => assert_eq!(slice.to_vec(), [7; 1000]),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(nix::libc::ENOENT)),
                }
            },
        );
        drop(slice.publish(&name).unwrap());
    });
}
