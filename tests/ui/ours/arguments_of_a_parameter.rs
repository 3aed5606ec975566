use procession::process;

#[process]
fn task(#[process(skip)] seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task(1), task::spawn(1)?.join()?);
    Ok(())
}
