use procession::process;

#[process(timeuot = std::time::Duration::from_secs(1), daemon)]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    Ok(())
}
