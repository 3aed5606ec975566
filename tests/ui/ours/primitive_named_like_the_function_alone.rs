use procession::process;

#[process]
fn str(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(str(1), str::spawn(1)?.join()?);
    Ok(())
}
