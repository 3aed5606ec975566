//! Waiting for a change under a mutex.

use procession::{
    process,
    sync::{Condvar, Mutex},
    wait_any,
};
use procession_tests::{
    alone_under_each_method, eventually, holdings, kill, start, under_each_method,
};
use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

#[test]
fn notifications_pass_a_value_on() {
    #[process]
    fn answer(cell: &Mutex<[u32; 2]>, changed: &Condvar, times: u32) {
        for turn in 1..=times {
            let asked = changed.wait_while(cell.lock().unwrap(), |cell| cell[0] != turn);
            asked.unwrap()[1] = turn;
            changed.notify_one();
        }
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let (cell, changed) = (Mutex::new([0; 2]).unwrap(), Condvar::new().unwrap());
        let child = start(method, answer::new(&cell, &changed, 500));
        for turn in 1..=500 {
            let mut guard = cell.lock().unwrap();
            guard[0] = turn;
            changed.notify_one();
            guard = changed.wait_while(guard, |cell| cell[1] != turn).unwrap();
            assert_eq!(guard[1], turn);
        }
        child.join().unwrap();
        let begin = Instant::now();
        let timeout = Duration::from_millis(30);
        let (guard, result) = changed.wait_timeout(cell.lock().unwrap(), timeout).unwrap();
        assert!(result.timed_out() && begin.elapsed() >= timeout);
        drop(guard);
        drop((cell, changed));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn notification_is_not_lost_to_one_who_is_killed() {
    #[process]
    fn wait(tickets: &Mutex<[u32; 2]>, changed: &Condvar) {
        let mut guard = tickets.lock().unwrap();
        guard[1] += 1;
        let mut guard = changed
            .wait_while(guard, |tickets| tickets[0] == 0)
            .unwrap();
        guard[0] -= 1;
    }
    under_each_method(|method| {
        for _ in 0..20 {
            let (tickets, changed) = (Mutex::new([0; 2]).unwrap(), Condvar::new().unwrap());
            let mut waiters: Vec<_> = (0..3)
                .map(|_| start(method, wait::new(&tickets, &changed)))
                .collect();
            let waiting = || tickets.lock().unwrap()[1] == 3;
            eventually("they wait", waiting);
            let doomed = waiters.swap_remove(0);
            // Both at once: whoever the kernel would have picked, another one gets it.
            tickets.lock().unwrap()[0] = 2;
            doomed.kill().unwrap();
            changed.notify_one();
            let done = wait_any(&waiters, Duration::from_secs(20)).unwrap();
            assert!(done.is_some());
            tickets.lock().unwrap_or_else(PoisonError::into_inner)[0] = 2;
            changed.notify_all();
            kill(doomed);
            for waiter in waiters {
                waiter.join().unwrap();
            }
        }
    });
}
