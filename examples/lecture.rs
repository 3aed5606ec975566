//! The whole lecture: every example in its order, under its title.
//!
//! Each chapter runs in a process of its own, because what happens at the end of a process is part of some: there its daemons are
//! ended, and its other children are waited for.

use procession::process;
use std::io;

mod attributes;
mod barrier;
mod checksums;
mod client;
mod daemon;
mod function;
mod isolation;
mod join_loop;
mod join_order;
mod listener;
mod lock;
mod pid;
mod pipe;
mod pool;
mod pool_crash;
mod pool_nested;
mod queue;
mod shared_counter;
mod structure;
mod terminate;

type Chapter = (&'static str, fn() -> io::Result<()>);

const CHAPTERS: [Chapter; 20] = [
    ("function: a function becomes a process", function::main),
    ("structure: a struct becomes a process", structure::main),
    ("pid: which process is which", pid::main),
    ("isolation: processes share no memory", isolation::main),
    ("join_order: joining waits", join_order::main),
    ("join_loop: joining in a loop", join_loop::main),
    ("daemon: a daemon does not outlive its parent", daemon::main),
    ("attributes: what a process can be asked", attributes::main),
    (
        "terminate: a process is ended from outside",
        terminate::main,
    ),
    ("lock: a lock outlives who holds it", lock::main),
    (
        "shared_counter: processes that share memory",
        shared_counter::main,
    ),
    ("barrier: processes wait for each other", barrier::main),
    ("queue: producers and consumers", queue::main),
    ("pipe: request and reply", pipe::main),
    (
        "listener: programs that know a key are served",
        listener::main,
    ),
    ("client: a listener is asked", client::main),
    ("pool: jobs for processes that stay", pool::main),
    (
        "pool_crash: jobs that crash cost themselves only",
        pool_crash::main,
    ),
    (
        "pool_nested: a job with a pool of its own",
        pool_nested::main,
    ),
    (
        "checksums: files, a fragile function, results that stay",
        checksums::main,
    ),
];

#[process]
fn chapter(number: usize) {
    let (_, main) = CHAPTERS[number];
    main().expect("the chapter runs to its end");
}

fn main() -> io::Result<()> {
    for (number, (title, _)) in CHAPTERS.iter().enumerate() {
        println!("== {title} ==");
        chapter::spawn(number)?.join()?;
        println!();
    }
    Ok(())
}
