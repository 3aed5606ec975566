//! Pools: what becomes of jobs and of workers.

#![allow(missing_docs, reason = "tests")]

mod edges;
mod ends;
mod jobs;
mod lives;
mod maps;
mod progress;
mod signals;
mod workers;

use procession::{Pool, StartMethod, pool::PoolBuilder};
use procession_tests::{DEADLINE, within};

/// The start methods that a pool can use.
const METHODS: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Spawn];

/// Runs a test with a pool of two workers under each start method, with a deadline.
fn with_pools(test: impl Fn(Pool)) {
    with_builders(|builder| test(builder.build().unwrap()));
}

/// Runs a test with the settings of a pool of two workers under each start method, with a deadline.
fn with_builders(test: impl Fn(PoolBuilder)) {
    for method in METHODS {
        within(DEADLINE, || {
            test(Pool::builder().workers(2).start_method(method));
        });
    }
}
