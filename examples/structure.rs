//! The second way to make a process: from a struct.
//!
//! The fields are what the process works on, and `run` is what it does. The trait [`Process`] has the `spawn` that starts it.
//!
//! As in `function`, the child waits until it is its turn to print.
//!
//! ```text
//! main process
//! pl is running
//! pl is gone
//! ```

use procession::Process;
use std::{
    io::{self, PipeReader, Read, Write},
    thread,
    time::Duration,
};

#[derive(Process)]
struct MyProcess {
    name: String,
    turn: PipeReader,
}

impl MyProcess {
    fn run(&mut self) {
        self.turn.read_exact(&mut [0]).expect("main gives the turn");
        println!("{} is running", self.name);
        thread::sleep(Duration::from_millis(200));
        println!("{} is gone", self.name);
    }
}

pub(crate) fn main() -> io::Result<()> {
    let (turn, mut go) = io::pipe()?;
    let name = "pl".to_owned();
    let p = MyProcess { name, turn }.spawn()?;
    println!("main process");
    go.write_all(b"!")?;
    p.join()?;
    Ok(())
}
