//! Joining waits, and the processes do not wait for each other.
//!
//! Three processes work for one, two and three units of time. Main goes past a `join` when that process is gone and not before.
//! They all work at once: the whole takes as long as the longest of them, and not as long as all in turn.
//!
//! ```text
//! is running
//! is running
//! is running
//! is gone
//! 1
//! is gone
//! 2
//! is gone
//! 3
//! main process: 0.91 s
//! ```

use procession::process;
use std::{
    io, thread,
    time::{Duration, Instant},
};

const UNIT: Duration = Duration::from_millis(300);

#[process]
fn task(units: u32) {
    println!("is running");
    thread::sleep(units * UNIT);
    println!("is gone");
}

pub(crate) fn main() -> io::Result<()> {
    let start = Instant::now();
    let p1 = task::spawn(1)?;
    let p2 = task::spawn(2)?;
    let p3 = task::spawn(3)?;
    p1.join()?;
    println!("1");
    p2.join()?;
    println!("2");
    p3.join()?;
    println!("3");
    println!("main process: {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
