use procession::process;

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let child = task::spawn(1)?;
    let again = child.spawn()?;
    assert_eq!(again.join()?, 1);
    Ok(())
}
