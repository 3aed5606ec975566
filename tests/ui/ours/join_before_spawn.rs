use procession::{Process, process};

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let process = task::new(1);
    let value: u64 = process.join()?;
    assert_eq!(value, 1);
    Ok(())
}
