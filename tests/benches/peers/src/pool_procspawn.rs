//! The same work by the pool of procspawn.

use std::{hint, time::Instant};

const TINY: u64 = 2000;
const SINGLE: u64 = 500;
const LARGE: usize = 1 << 20;

fn main() {
    procspawn::init();
    let pool = procspawn::Pool::new(2).expect("processes can be started");
    let square = |n| pool.spawn(n, |n: u64| n.wrapping_mul(n));
    let many = || {
        let tasks: Vec<_> = (0..TINY).map(square).collect();
        for task in tasks {
            task.join().expect("the task returns");
        }
    };
    let one = || {
        for n in 0..SINGLE {
            square(n).join().expect("the task returns");
        }
    };
    many();
    measure("procspawn pool, tiny tasks", TINY, many);
    measure("procspawn pool, one task at a time", SINGLE, one);
    let value = vec![7_u8; LARGE];
    measure(
        "procspawn pool, 1 MiB as argument, and an empty result",
        1,
        || {
            let task = pool.spawn(value.clone(), |value: Vec<u8>| drop(hint::black_box(value)));
            task.join().expect("the task returns");
        },
    );
}

fn measure(what: &str, count: u64, act: impl Fn()) {
    let mut taken: Vec<_> = (0..11)
        .map(|_| {
            let begun = Instant::now();
            act();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("{what}\t{}", taken[taken.len() / 2] / count as f64);
}
