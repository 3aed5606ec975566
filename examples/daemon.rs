//! A daemon does not outlive its parent.
//!
//! When main has nothing more to do, it ends `foo`, which is a daemon, and waits for `bar`, which is none. So `end456` is still
//! printed, and `end123` never is, although it would be due long before.
//!
//! Two pipes keep the lines in order: main waits until the daemon is at work, and `bar` until it is its turn.
//!
//! ```text
//! 123
//! main-------
//! 456
//! end456
//! ```

use procession::process;
use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    thread,
    time::Duration,
};

#[process(daemon)]
fn foo(mut ready: PipeWriter) {
    println!("123");
    ready.write_all(b"!").expect("main waits for it");
    thread::sleep(Duration::from_secs(1));
    println!("end123");
}

#[process]
fn bar(mut turn: PipeReader) {
    turn.read_exact(&mut [0]).expect("main gives the turn");
    println!("456");
    thread::sleep(Duration::from_secs(2));
    println!("end456");
}

pub(crate) fn main() -> io::Result<()> {
    let (mut is_ready, ready) = io::pipe()?;
    let (turn, mut go) = io::pipe()?;
    let _p2 = bar::spawn(turn)?;
    let _p1 = foo::spawn(ready)?;
    is_ready.read_exact(&mut [0])?;
    println!("main-------");
    go.write_all(b"!")
}
