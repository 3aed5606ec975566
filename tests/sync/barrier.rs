//! Barriers between processes.

use procession::{
    process,
    sync::{Barrier, BarrierError, Mutex},
};
use procession_tests::{
    DEADLINE, alone_under_each_method, eventually, holdings, kill, start, under_each_method, within,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(30);

/// Waits at the barrier; none if it was broken.
#[process]
fn meet(barrier: &Barrier, times: u32) -> Option<u32> {
    let mut led = 0;
    for _ in 0..times {
        led += u32::from(barrier.wait().ok()?.is_leader());
    }
    Some(led)
}

#[test]
fn barrier_lets_all_go_on_together_and_one_leads() {
    #[process]
    fn count(barrier: &Barrier, counts: &Mutex<[u32; 3]>, mine: usize) -> u32 {
        let mut led = 0;
        for round in 1..=200 {
            counts.lock().unwrap()[mine] = round;
            let check = || assert_eq!(*counts.lock().unwrap(), [round; 3]);
            led += u32::from(barrier.wait_with(check).unwrap().is_leader());
        }
        led
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let (barrier, counts) = (Barrier::new(3).unwrap(), Mutex::new([0; 3]).unwrap());
        assert_eq!((barrier.parties(), barrier.n_waiting()), (3, 0));
        let children: Vec<_> = (0..3)
            .map(|mine| start(method, count::new(&barrier, &counts, mine)))
            .collect();
        let led = children.into_iter().map(|child| child.join().unwrap());
        assert_eq!(led.sum::<u32>(), 200);
        assert!(!barrier.is_broken());
        drop((barrier, counts));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn killed_participant_breaks_the_barrier() {
    under_each_method(|method| {
        let barrier = Barrier::new(3).unwrap();
        let [doomed, survivor] = [(); 2].map(|()| start(method, meet::new(&barrier, 1)));
        eventually("they wait", || barrier.n_waiting() == 2);
        kill(doomed);
        // That the last one comes only now does not help any more.
        assert!(matches!(barrier.wait(), Err(BarrierError::Broken)));
        assert_eq!(survivor.join().unwrap(), None);
        assert!(barrier.is_broken());
        barrier.reset();
        let children = [(); 2].map(|()| start(method, meet::new(&barrier, 1)));
        let mut led = u32::from(barrier.wait().unwrap().is_leader());
        for child in children {
            led += child.join().unwrap().unwrap();
        }
        assert_eq!(led, 1);
    });
}

#[test]
fn only_participant_that_is_killed_breaks_the_barrier_too() {
    under_each_method(|method| {
        let barrier = Barrier::new(2).unwrap();
        let doomed = start(method, meet::new(&barrier, 1));
        eventually("it waits", || barrier.n_waiting() == 1);
        kill(doomed);
        assert!(barrier.is_broken());
        assert!(matches!(barrier.wait(), Err(BarrierError::Broken)));
    });
}

#[test]
fn barrier_breaks_by_time_by_abort_and_by_reset() {
    under_each_method(|method| {
        let barrier = Barrier::new(3).unwrap();
        let acts: [fn(&Barrier); 3] = [
            |barrier| {
                let begin = Instant::now();
                let error = barrier.wait_timeout(MOMENT).unwrap_err();
                assert!(matches!(error, BarrierError::TimedOut));
                assert!(begin.elapsed() >= MOMENT);
                assert!(barrier.is_broken());
                barrier.reset();
            },
            |barrier| {
                barrier.abort();
                assert!(barrier.is_broken());
                barrier.reset();
            },
            Barrier::reset,
        ];
        for act in acts {
            let waiter = start(method, meet::new(&barrier, 1));
            eventually("it waits", || barrier.n_waiting() == 1);
            act(&barrier);
            assert_eq!(waiter.join().unwrap(), None);
            assert!(!barrier.is_broken());
        }
    });
}

#[test]
fn panicking_action_breaks_the_barrier() {
    within(DEADLINE, || {
        let barrier = Barrier::new(2).unwrap();
        thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait());
            eventually("it waits", || barrier.n_waiting() == 1);
            let wait = || barrier.wait_with(|| panic!("in the action"));
            catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
            assert!(matches!(other.join().unwrap(), Err(BarrierError::Broken)));
        });
        assert!(barrier.is_broken());
    });
}

#[test]
fn who_comes_while_the_action_runs_is_of_the_next_generation() {
    within(DEADLINE, || {
        let barrier = Barrier::new(1).unwrap();
        thread::scope(|scope| {
            let first = barrier.wait_with(|| {
                let late = scope.spawn(|| barrier.wait_timeout(MOMENT));
                assert!(matches!(late.join().unwrap(), Err(BarrierError::TimedOut)));
            });
            assert!(first.unwrap().is_leader());
        });
        assert!(!barrier.is_broken());
        assert!(barrier.wait().unwrap().is_leader());
    });
}
