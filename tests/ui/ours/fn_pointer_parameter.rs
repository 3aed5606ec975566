use procession::process;

#[process]
fn task(call: fn(u64) -> u64) -> u64 {
    call(1)
}

fn main() -> procession::Result<()> {
    assert_eq!(task(|n| n), task::spawn(|n| n)?.join()?);
    Ok(())
}
