//! The same work by rayon: what it costs to stay in threads.

use rayon::prelude::*;
use std::{hint, time::Instant};

const TINY: u64 = 100_000;
const SINGLE: u64 = 2000;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = pool.expect("threads can be started");
    let square = |n: u64| hint::black_box(n.wrapping_mul(n));
    measure("rayon, tiny tasks, parallel iterator", TINY, || {
        pool.install(|| (0..TINY).into_par_iter().map(square).sum::<u64>());
    });
    measure("rayon, tiny tasks, spawned in a scope", TINY, || {
        pool.scope(|scope| (0..TINY).for_each(|n| scope.spawn(move |_| _ = square(n))));
    });
    measure("rayon, one task at a time, install", SINGLE, || {
        for n in 0..SINGLE {
            hint::black_box(pool.install(|| square(n)));
        }
    });
}

fn measure(what: &str, count: u64, act: impl Fn()) {
    let mut taken: Vec<_> = (0..31)
        .map(|_| {
            let begun = Instant::now();
            act();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("{what}\t{}", taken[taken.len() / 2] / count as f64);
}
