use procession::process;

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let child = task::spawn(1)?;
    child.uid(1000);
    assert_eq!(child.join()?, 1);
    Ok(())
}
