//! A job may start processes, and make a pool of its own. All of it ends with the pool that the job is from.
//!
//! Only the pool that a job is from is refused to it: all workers could wait for each other then, and none would work.
//!
//! ```text
//! row 0: 0 1 4 9 by 2 workers of its own
//! row 1: 16 25 36 49 by 2 workers of its own
//! row 2: 64 81 100 121 by 2 workers of its own
//! the global pool is for its own workers: false
//! ```

use procession::{Pool, current, process};
use std::io;

const WIDTH: u64 = 4;

#[process]
fn square(n: u64) -> (u64, usize) {
    let worker = current().worker().expect("this is a job of a pool");
    (n * n, worker.count())
}

#[process]
fn row(number: u64) -> io::Result<(Vec<u64>, usize)> {
    let pool = Pool::builder().workers(2).build()?;
    let numbers = number * WIDTH..(number + 1) * WIDTH;
    let (mut squares, mut workers) = (Vec::new(), 0);
    for result in pool.map(numbers.map(square::new)) {
        let (square, count) = result?;
        squares.push(square);
        workers = count;
    }
    Ok((squares, workers))
}

#[process]
fn takes_the_global_pool() -> bool {
    Pool::global().is_ok_and(|pool| pool.submit(square::new(1)).is_ok())
}

pub(crate) fn main() -> io::Result<()> {
    let pool = Pool::builder().workers(2).build()?;
    for (number, row) in pool.map((0..3).map(row::new)).enumerate() {
        let (squares, workers) = row??;
        let squares: Vec<_> = squares.iter().map(u64::to_string).collect();
        let squares = squares.join(" ");
        println!("row {number}: {squares} by {workers} workers of its own");
    }
    let refused = Pool::global()?.submit(takes_the_global_pool::new())?;
    println!(
        "the global pool is for its own workers: {}",
        refused.join()?
    );
    Ok(())
}
