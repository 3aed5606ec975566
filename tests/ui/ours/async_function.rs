use procession::process;

#[process]
async fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1)?.join()?, 1);
    assert_eq!(task { seconds: 1 }.run(), 1);
    Ok(())
}
