use procession::process;

#[process]
fn task(bytes: [u8]) -> usize {
    bytes.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(&[1])?.join()?, 1);
    Ok(())
}
