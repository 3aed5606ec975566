use procession::{Process, process};
use std::time::Duration;

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let process = task::new(1);
    process.shutdown(Duration::from_secs(1))?;
    assert_eq!(process.spawn()?.join()?, 1);
    Ok(())
}
