//! Which process is which: each has an id, and knows that of its parent.
//!
//! The ids are others each time, but there are only two of them.
//!
//! ```text
//! main process: 4100
//! child process: 4101, its parent: 4100
//! main process started 4101
//! ```

use procession::process;
use std::{io, os::unix::process::parent_id};

#[process]
fn task() {
    let (id, parent) = (std::process::id(), parent_id());
    println!("child process: {id}, its parent: {parent}");
}

pub(crate) fn main() -> io::Result<()> {
    println!("main process: {}", std::process::id());
    let p = task::spawn()?;
    let id = p.id();
    p.join()?;
    println!("main process started {id}");
    Ok(())
}
