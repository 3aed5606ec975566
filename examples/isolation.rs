//! Processes share no memory, not even a `static`.
//!
//! A child starts from the program, and not from the state that its parent has come to: it does not see the name that main has
//! set before. What it changes then is its own, and main still has its name afterwards.
//!
//! A child that is a copy of main, as the lecture has it, sees that name; but its memory is a copy too.
//!
//! ```text
//! child process: nobody
//! child process: pl1
//! main process: pl
//! copied process: pl
//! copied process: pl1
//! main process: pl
//! ```

use procession::{Builder, StartMethod, process};
use std::{io, sync::Mutex};

static NAME: Mutex<&str> = Mutex::new("nobody");

#[process]
fn task(kind: &str) {
    let mut name = NAME.lock().unwrap();
    println!("{kind} process: {name}");
    *name = "pl1";
    println!("{kind} process: {name}");
}

pub(crate) fn main() -> io::Result<()> {
    *NAME.lock().unwrap() = "pl";
    task::spawn("child")?.join()?;
    println!("main process: {}", NAME.lock().unwrap());
    let copying = Builder::new().start_method(StartMethod::Fork);
    copying.spawn(task::new("copied"))?.join()?;
    println!("main process: {}", NAME.lock().unwrap());
    Ok(())
}
