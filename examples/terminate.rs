//! A process can be ended from outside.
//!
//! `terminate` asks with SIGTERM and does not wait for the answer: that is what `wait` and `join` are for. Joining then tells how
//! the process has ended, since it has no value to give. It had no time to clean up, and processes that it had started would
//! run on.
//!
//! ```text
//! is_alive: true
//! is_alive: false
//! process `task-1` (pid 4101) was killed by SIGTERM from this process
//! ```

use procession::process;
use std::{io, thread, time::Duration};

#[process]
fn task() {
    thread::sleep(Duration::from_secs(60));
    println!("is gone");
}

pub(crate) fn main() -> io::Result<()> {
    let mut p = task::spawn()?;
    println!("is_alive: {}", p.is_alive());
    p.terminate()?;
    p.wait()?;
    println!("is_alive: {}", p.is_alive());
    if let Err(error) = p.join() {
        println!("{error}");
    }
    Ok(())
}
