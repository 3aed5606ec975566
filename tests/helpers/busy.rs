//! Has a pool that is busy, until a signal ends it, or until it has handled one.
//!
//! What holds its standard output open is what still lives.

#![allow(unsafe_code, reason = "a program that handles a signal")]

use nix::{
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
use procession::{Builder, Pool, Stdio, process};
use procession_tests::{eventually, forever};
use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::IntoRawFd,
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

#[process]
fn hang(mut ready: PipeWriter) {
    let _child = Builder::new()
        .stdout(Stdio::inherit())
        .spawn(rest::new())
        .expect("it starts");
    ready.write_all(b"!").expect("the pool listens");
    forever()
}

#[process]
fn rest() {
    forever()
}

#[process]
fn square(n: u64) -> u64 {
    n * n
}

/// Where the handler writes to.
static TOLD: AtomicI32 = AtomicI32::new(-1);

extern "C" fn tell(_: libc::c_int) {
    // SAFETY: the byte is there, and the call is safe in a handler.
    unsafe { libc::write(TOLD.load(Ordering::Relaxed), c"!".as_ptr().cast(), 1) };
}

/// Has SIGINT handled from now on. System calls are not begun again after it.
fn handle() -> PipeReader {
    let (reader, writer) = io::pipe().expect("there are pipes");
    TOLD.store(writer.into_raw_fd(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(tell), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what it may do.
    unsafe { sigaction(Signal::SIGINT, &action) }.expect("it can be handled");
    reader
}

fn workers(pool: &Pool) -> Vec<u32> {
    let workers = pool.stats().workers;
    workers.iter().map(|worker| worker.id).collect()
}

fn say(pool: &Pool) {
    let ids: Vec<_> = workers(pool).iter().map(u32::to_string).collect();
    println!("ready {}", ids.join(" "));
    io::stdout().flush().expect("somebody listens");
}

fn main() {
    procession_tests::use_method();
    let how = std::env::args().nth(1).unwrap_or_default();
    let mut told = (how == "handle").then(handle);
    let settings = Builder::new()
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    let pool = Pool::builder().workers(2).worker(settings).build();
    let pool = pool.expect("there can be a pool");
    if how == "hang" {
        let (mut ready, writer) = io::pipe().expect("there are pipes");
        let jobs = [(); 2].map(|()| {
            let writer = writer.try_clone().expect("there are descriptors");
            pool.submit(hang::new(writer)).expect("it is open")
        });
        ready.read_exact(&mut [0; 2]).expect("both run");
        say(&pool);
        for job in jobs {
            // It says nothing, whatever it is told.
            drop(job.join());
        }
        return;
    }
    eventually("both are there", || {
        let workers = pool.stats().workers;
        workers.iter().filter(|one| one.start_up.is_some()).count() == 2
    });
    let stream = || {
        let mut squares = pool.map((0..).map(|n| square::new(n % 1000)));
        move || squares.next().expect("it is endless")
    };
    let Some(told) = &mut told else {
        let mut next = stream();
        assert!((0..100).all(|_| next().is_ok()));
        say(&pool);
        loop {
            drop(next());
        }
    };
    let before = workers(&pool);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut next = stream();
            assert!((0..100).all(|_| next().is_ok()));
            say(&pool);
            while TOLD.load(Ordering::Relaxed) >= 0 {
                next().expect("no worker is lost");
            }
        });
        told.read_exact(&mut [0]).expect("it is told");
        let job = pool.submit(square::new(7)).expect("it is open");
        assert_eq!(job.join().expect("no worker is lost"), 49);
        assert_eq!(workers(&pool), before);
        TOLD.store(-1, Ordering::Relaxed);
        busy.join().expect("no job was lost");
    });
    // Another worker can be started.
    let replaced = pool.submit(leave::new()).expect("it is open");
    replaced.join().expect("it ends");
    eventually("there is another one", || {
        let now = workers(&pool);
        now.len() == 2 && now != before
    });
    let job = pool.submit(square::new(8)).expect("it is open");
    assert_eq!(job.join().expect("no worker is lost"), 64);
    assert!(pool.shutdown(Duration::from_secs(20)));
    println!("goes on");
}

#[process]
fn leave() {
    procession::current()
        .worker()
        .expect("it is a worker")
        .replace();
}
