use procession::process;

#[process]
fn task(key: [u8; _]) -> usize {
    key.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn([1, 2])?.join()?, 2);
    Ok(())
}
