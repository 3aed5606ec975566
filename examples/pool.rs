//! A pool keeps some processes and hands them jobs, so that a job costs no start of a process.
//!
//! `submit` hands over one job, `map` many, which it reads as lazily as the workers allow.
//! `map_unordered` returns the results as they arrive, here with a progress bar if standard error
//! is a terminal. The bar needs the feature `progress`.
//!
//! ```text
//! one job: 144
//! in order: 0 1 4 9 16 25 36 49 64 81
//! as they arrive: 100 results, which make 328350
//! jobs done: 111 by 2 workers
//! ```

use procession::{Pool, process};
use std::{io, thread, time::Duration};

#[process]
fn square(n: u64) -> u64 {
    n * n
}

#[process]
fn slow_square(n: u64) -> u64 {
    thread::sleep(Duration::from_millis(10));
    n * n
}

pub(crate) fn main() -> io::Result<()> {
    let pool = Pool::builder().workers(2).build()?;

    let job = pool.submit(square::new(12))?;
    println!("one job: {}", job.join()?);

    let squares = pool.map((0..10).map(square::new));
    let squares = squares.collect::<Result<Vec<_>, _>>()?;
    let squares: Vec<_> = squares.iter().map(u64::to_string).collect();
    println!("in order: {}", squares.join(" "));

    let jobs = (0..100).map(slow_square::new);
    let (mut results, mut sum) = (0, 0);
    for (_index, square) in pool.map_unordered(jobs).progress("squares") {
        results += 1;
        sum += square?;
    }
    println!("as they arrive: {results} results, which make {sum}");

    let stats = pool.stats();
    let workers = stats.workers.len();
    println!("jobs done: {} by {workers} workers", stats.done);
    Ok(())
}
