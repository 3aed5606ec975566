use procession::process;

#[process(env_clear = true)]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    Ok(())
}
