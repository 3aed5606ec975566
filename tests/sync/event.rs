//! Events between processes.

use procession::{process, sync::Event};
use procession_tests::{
    DEADLINE, alone_under_each_method, change, forever, holdings, is_readable, kill, start,
};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(30);

#[test]
fn event_is_seen_by_all_until_it_is_cleared() {
    #[process]
    fn wait(event: &Event) -> bool {
        event.wait().unwrap();
        event.is_set()
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let event = Event::new().unwrap();
        assert!(!event.is_set());
        let begin = Instant::now();
        assert!(!event.wait_timeout(MOMENT).unwrap());
        assert!(begin.elapsed() >= MOMENT);
        assert!(!is_readable(&event));
        let waiters: Vec<_> = (0..3).map(|_| start(method, wait::new(&event))).collect();
        event.set();
        event.set();
        assert!(is_readable(&event));
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
    alone_under_each_method(|method| {
        let (event, ready) = (Event::new().unwrap(), Event::new().unwrap());
        let worker = start(method, work::new(&event, &ready));
        ready.wait().unwrap();
        assert!(!event.is_set());
        worker.signal(nix::libc::SIGUSR1).unwrap();
        assert!(event.wait_timeout(DEADLINE).unwrap());
        kill(worker);
    });
}
