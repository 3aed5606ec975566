//! Processes that wait for each other.
//!
//! Three processes work in steps, and none begins the next step before all are done with this one. The one that comes to the barrier last
//! says so, before any goes on. When one is killed while the others wait for it, they are told, and do not wait for ever.
//!
//! ```text
//! step 1: 3 of 3 are done
//! step 2: 3 of 3 are done
//! main process: one waits
//! main process: the barrier is broken
//! main process: works again
//! ```

use procession::{
    process,
    shm::Shared,
    sync::{Barrier, BarrierError},
};
use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

const PARTIES: u32 = 3;

#[process]
fn work(barrier: &Barrier, done: &Shared<AtomicU32>) -> Result<(), String> {
    for step in 1..=2 {
        done.fetch_add(1, Ordering::Relaxed);
        let report = || {
            let done = done.swap(0, Ordering::Relaxed);
            println!("step {step}: {done} of {PARTIES} are done");
        };
        barrier
            .wait_with(report)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[process]
fn wait(barrier: &Barrier) -> bool {
    barrier.wait().is_ok()
}

pub(crate) fn main() -> io::Result<()> {
    let barrier = Barrier::new(3)?;
    let done = Shared::new(AtomicU32::new(0))?;
    let p1 = work::spawn(&barrier, &done)?;
    let p2 = work::spawn(&barrier, &done)?;
    let p3 = work::spawn(&barrier, &done)?;
    for p in [p1, p2, p3] {
        p.join()?.map_err(io::Error::other)?;
    }

    let mut p = wait::spawn(&barrier)?;
    while barrier.n_waiting() == 0 {
        thread::yield_now();
    }
    println!("main process: one waits");
    p.kill()?;
    p.wait()?;
    if let Err(error @ BarrierError::Broken) = barrier.wait() {
        println!("main process: {error}");
    }
    barrier.reset();
    let (p1, p2) = (wait::spawn(&barrier)?, wait::spawn(&barrier)?);
    barrier.wait()?;
    if p1.join()? && p2.join()? {
        println!("main process: works again");
    }
    Ok(())
}
