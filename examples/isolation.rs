//! Processes share no memory, not even a `static`.
//!
//! A child starts from the program, and not from the state that its parent has come to: it does not see the name that main has
//! set before. What it changes then is its own, and main still has its name afterwards.
//!
//! ```text
//! child process: nobody
//! child process: pl1
//! main process: pl
//! ```

use procession::process;
use std::{io, sync::Mutex};

static NAME: Mutex<&str> = Mutex::new("nobody");

#[process]
fn task() {
    let mut name = NAME.lock().unwrap();
    println!("child process: {name}");
    *name = "pl1";
    println!("child process: {name}");
}

pub(crate) fn main() -> io::Result<()> {
    *NAME.lock().unwrap() = "pl";
    task::spawn()?.join()?;
    println!("main process: {}", NAME.lock().unwrap());
    Ok(())
}
