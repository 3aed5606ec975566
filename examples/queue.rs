//! Producers put jobs into a queue, consumers take them out, and what comes of them goes back through another. When the last producer
//! is gone, the jobs end; when the last consumer is gone, so do the results.
//!
//! ```text
//! 12 jobs done by 3 consumers for 2 producers
//! 0 1 4 9 16 25 36 49 64 81 100 121
//! ```

use procession::{
    channel::{Receiver, Sender, queue},
    join_all, process,
};
use std::io;

#[process]
fn produce(jobs: &Sender<u64>, from: u64, to: u64) {
    for job in from..to {
        jobs.send(job).expect("there are consumers");
    }
}

#[process]
fn consume(jobs: Receiver<u64>, results: &Sender<u64>) {
    for job in jobs {
        let job = job.expect("it can be decoded");
        results.send(job * job).expect("somebody wants it");
    }
}

pub(crate) fn main() -> io::Result<()> {
    let (jobs, jobs_there) = queue(4)?;
    let (results_there, results) = queue(4)?;
    let mut processes = vec![produce::spawn(&jobs, 0, 6)?, produce::spawn(&jobs, 6, 12)?];
    for _ in 0..3 {
        processes.push(consume::spawn(jobs_there.clone(), &results_there)?);
    }
    // Not kept here: who has a sender might send.
    drop((jobs, jobs_there, results_there));
    let mut squares = results.iter().collect::<Result<Vec<u64>, _>>()?;
    squares.sort_unstable();
    for joined in join_all(processes) {
        joined?;
    }
    println!("{} jobs done by 3 consumers for 2 producers", squares.len());
    let squares: Vec<_> = squares.iter().map(u64::to_string).collect();
    println!("{}", squares.join(" "));
    Ok(())
}
