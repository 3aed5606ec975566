//! The first way to make a process: from a function.
//!
//! `#[process]` leaves the function as it is and puts `task::spawn` beside it, which takes the same arguments. The child starts
//! from nothing and knows what it was given.
//!
//! From `spawn` on both processes run at once, and either could be the first to print. In the lecture that is main, because a
//! child takes its time to begin. Here the child waits until it is its turn, so that it is main on every machine.
//!
//! ```text
//! main process
//! pl is running
//! pl is gone
//! ```

use procession::process;
use std::{
    io::{self, PipeReader, Read, Write},
    thread,
    time::Duration,
};

#[process]
fn task(name: &str, mut turn: PipeReader) {
    turn.read_exact(&mut [0]).expect("main gives the turn");
    println!("{name} is running");
    thread::sleep(Duration::from_millis(200));
    println!("{name} is gone");
}

pub(crate) fn main() -> io::Result<()> {
    let (turn, mut go) = io::pipe()?;
    let p = task::spawn("pl", turn)?;
    println!("main process");
    go.write_all(b"!")?;
    p.join()?;
    Ok(())
}
