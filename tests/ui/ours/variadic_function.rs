use procession::process;

#[process]
fn task(seconds: u64, _: ...) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    Ok(())
}
