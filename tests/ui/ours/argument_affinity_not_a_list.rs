use procession::process;

#[process(affinity = 0)]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    Ok(())
}
