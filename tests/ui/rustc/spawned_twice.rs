use procession::{Process, process};

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let process = task::new(1);
    let first = process.spawn()?;
    let second = process.spawn()?;
    assert_eq!(first.join()?, second.join()?);
    Ok(())
}
