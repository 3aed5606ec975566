//! Jobs that crash, hang, exit or take too much memory cost themselves only: the good ones among them have their values.
//!
//! The pool replaces a worker that is lost. It tells for each job how it ended, and whether it may have had effects.
//!
//! ```text
//! job           ends with                          has run
//! square(1)     the value 1                        Yes
//! crash()       signal 11                          Maybe
//! square(2)     the value 4                        Yes
//! divide(1, 0)  a panic: attempt to divide by zero Yes
//! hang()        its timeout                        Maybe
//! square(3)     the value 9                        Yes
//! hoard()       no memory left                     Maybe
//! leave()       exit status: 3                     Maybe
//! square(4)     the value 16                       Yes
//! 4 jobs have a value, 5 have none, 4 workers were replaced
//! ```

use procession::{Builder, Job, JoinError, JoinErrorKind, Pool, Stdio, process};
use std::{io, time::Duration};

/// A library in C that crashes.
#[allow(unsafe_code, reason = "this is how a program gets a SIGSEGV")]
mod library {
    unsafe extern "C" {
        safe fn raise(signal: i32) -> i32;
    }

    pub(super) fn crash() {
        raise(11);
    }
}

#[process]
fn square(n: u64) -> u64 {
    n * n
}

#[process]
fn crash() -> u64 {
    library::crash();
    unreachable!("a crash ends the process")
}

#[process]
fn divide(dividend: u64, divisor: u64) -> u64 {
    dividend / divisor
}

#[process]
fn hang() -> u64 {
    loop {
        std::hint::spin_loop();
    }
}

#[process]
fn hoard() -> u64 {
    let hoard: Vec<u8> = vec![1; 8 << 30];
    hoard.len() as u64
}

#[process]
fn leave() -> u64 {
    std::process::exit(3)
}

/// Says in a few words how a job ended.
fn reason(error: &JoinError) -> String {
    match (error.kind(), error.panic(), error.signal(), error.status()) {
        (_, Some(panic), ..) => format!("a panic: {}", panic.message()),
        (JoinErrorKind::Signalled, _, Some(signal), _) => format!("signal {signal}"),
        (JoinErrorKind::Exited, .., Some(status)) => status.to_string(),
        (JoinErrorKind::TimedOut, ..) => "its timeout".to_owned(),
        (JoinErrorKind::OutOfMemory, ..) => "no memory left".to_owned(),
        _ => error.to_string(),
    }
}

pub(crate) fn main() -> io::Result<()> {
    let pool = Pool::builder()
        .workers(2)
        // What a worker prints when it crashes is not wanted here: each job tells its reason.
        .worker(Builder::new().memory_limit(2 << 30).stderr(Stdio::null()))
        .task_timeout(Duration::from_secs(10))
        .build()?;
    let jobs: [(&str, Job<u64>); 9] = [
        ("square(1)", pool.submit(square::new(1))?),
        ("crash()", pool.submit(crash::new())?),
        ("square(2)", pool.submit(square::new(2))?),
        ("divide(1, 0)", pool.submit(divide::new(1, 0))?),
        (
            "hang()",
            pool.job()
                .timeout(Duration::from_millis(200))
                .submit(hang::new())?,
        ),
        ("square(3)", pool.submit(square::new(3))?),
        ("hoard()", pool.submit(hoard::new())?),
        ("leave()", pool.submit(leave::new())?),
        ("square(4)", pool.submit(square::new(4))?),
    ];
    println!("{:14}{:35}has run", "job", "ends with");
    for (name, job) in jobs {
        match job.join() {
            Ok(value) => println!("{name:14}{:35}Yes", format!("the value {value}")),
            Err(error) => println!("{name:14}{:35}{:?}", reason(&error), error.ran()),
        }
    }
    let stats = pool.stats();
    let failed: u64 = stats.failed.values().sum();
    let (done, lost) = (stats.done, stats.restarts);
    println!("{done} jobs have a value, {failed} have none, {lost} workers were replaced");
    Ok(())
}
