//! Many jobs, by iterators.

use crate::{ends::square, with_builders, with_pools};
use procession::{JoinErrorKind, process};
use procession_tests::forever;
use std::{
    cell::Cell,
    collections::BTreeSet,
    io::{self, PipeReader, Read},
    time::Duration,
};

#[process]
fn picky(n: u64) -> u64 {
    match n % 10 {
        3 => panic!("three"),
        7 => std::process::abort(),
        _ => n,
    }
}

#[process]
fn sleeps(milliseconds: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

/// Ends when the other end of the pipe is closed.
#[process]
fn waits(mut until: PipeReader) {
    until.read_to_end(&mut Vec::new()).unwrap();
}

#[process]
fn hangs_at(n: u64) -> u64 {
    if n == 3 { forever() } else { n }
}

#[test]
fn results_are_in_order() {
    with_pools(|pool| {
        let squares = pool.map((0..2000).map(square::new));
        for (n, result) in (0..2000).zip(squares) {
            assert_eq!(result.unwrap(), n * n);
        }
        assert_eq!(pool.map((0..0).map(square::new)).count(), 0);
        assert_eq!(pool.map((0..7).map(square::new)).count(), 7);
    });
}

#[test]
fn results_arrive_as_they_are_done() {
    with_pools(|pool| {
        // The first job ends when the second one has ended.
        let (reader, writer) = io::pipe().unwrap();
        let (none, _) = io::pipe().unwrap();
        let jobs = [reader, none].map(waits::new);
        let mut ends = pool.map_unordered(jobs).map(|(index, _)| index);
        assert_eq!(ends.next(), Some(1));
        drop(writer);
        assert_eq!(ends.next(), Some(0));
        let all = pool.map_unordered((0..2000).map(square::new));
        let all: BTreeSet<_> = all.map(|(index, n)| (index as u64, n.unwrap())).collect();
        assert!(all.iter().copied().eq((0..2000).map(|n| (n, n * n))));
    });
}

#[test]
fn failed_jobs_are_errors_in_their_places() {
    with_pools(|pool| {
        let results: Vec<_> = pool.map((0..50).map(picky::new)).collect();
        for (n, result) in (0..50).zip(results) {
            match (n % 10, result) {
                (3, Err(error)) => assert_eq!(error.kind(), JoinErrorKind::Panicked),
                (7, Err(error)) => assert_eq!(error.kind(), JoinErrorKind::Signalled),
                (_, result) => assert_eq!(result.unwrap(), n),
            }
        }
        let mut failed = 0;
        for (index, result) in pool.map_unordered((0..50).map(picky::new)) {
            match result {
                Ok(n) => assert_eq!(n, index as u64),
                Err(_) => failed += 1,
            }
        }
        assert_eq!(failed, 10);
    });
}

#[test]
fn iterator_is_read_as_far_as_the_workers_need() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        let read = Cell::new(0_u64);
        let endless = std::iter::repeat_with(|| {
            read.set(read.get() + 1);
            sleeps::new(1)
        });
        let taken: Vec<_> = pool.map(endless).take(30).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert!(read.get() < 60, "{}", read.get());
    });
}

#[test]
fn iterator_that_is_dropped_stops_what_has_not_begun() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        let mut some = pool.map((0..1000).map(hangs_at::new));
        assert_eq!(some.next().unwrap().unwrap(), 0);
        drop(some);
        // One worker may hang. The other one does this.
        assert_eq!(pool.submit(square::new(2)).unwrap().join().unwrap(), 4);
        assert!(pool.stats().queued == 0);
    });
}
