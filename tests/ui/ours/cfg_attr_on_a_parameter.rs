use procession::process;

#[process]
fn task(seconds: u64, #[cfg_attr(all(), cfg_attr(all(), cfg(unix)))] unix: bool) -> u64 {
    seconds + u64::from(unix)
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1, true)?.join()?, 2);
    Ok(())
}
