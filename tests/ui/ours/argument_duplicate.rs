use procession::process;

#[process(daemon, name = "a", daemon = false)]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    Ok(())
}
