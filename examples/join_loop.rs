//! The same as `join_order`, in a loop: processes are values, and a list can hold them.
//!
//! First all are started and then all are joined. A loop that joined each one as soon as it has started would make them wait for
//! each other. Where nothing happens between the joins, `procession::join_all` does it in a line.
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
    let processes = (1..=3).map(task::spawn).collect::<Result<Vec<_>, _>>()?;
    for (number, p) in (1..).zip(processes) {
        p.join()?;
        println!("{number}");
    }
    println!("main process: {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
