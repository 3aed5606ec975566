use procession::process;

#[process]
fn total(words: &[&str]) -> usize {
    words.iter().map(|word| word.len()).sum()
}

fn main() -> procession::Result<()> {
    assert_eq!(total::spawn(&["a", "b"])?.join()?, 2);
    Ok(())
}
