//! The same work by the pool of tarnish, which does one task at a time.

use std::{convert::Infallible, num::NonZeroUsize, time::Instant};
use tarnish::{ProcessPool, Task};

const SINGLE: u64 = 2000;

#[derive(Default)]
struct Square;

impl Task for Square {
    type Input = u64;
    type Output = u64;
    type Error = Infallible;

    fn run(&mut self, n: u64) -> Result<u64, Infallible> {
        Ok(n.wrapping_mul(n))
    }
}

fn main() {
    tarnish::main::<Square>(measure);
}

fn measure() {
    let count = NonZeroUsize::new(2).expect("it is not zero");
    let mut pool = ProcessPool::<Square>::new(count).expect("processes can be started");
    let mut taken: Vec<_> = (0..11)
        .map(|_| {
            let begun = Instant::now();
            for n in 0..SINGLE {
                pool.call(n).expect("the task returns");
            }
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    let took = taken[taken.len() / 2] / SINGLE as f64;
    println!("tarnish pool, one task at a time\t{took}");
}
