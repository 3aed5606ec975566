use procession::{Process, process};

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let process = task::new(1);
    process.kill()?;
    assert_eq!(process.spawn()?.join()?, 1);
    Ok(())
}
