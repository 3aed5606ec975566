use procession::process;

#[process]
fn total(words: Vec<&str>) -> usize {
    words.iter().map(|word| word.len()).sum()
}

fn main() -> procession::Result<()> {
    assert_eq!(total(vec!["a", "b"]), 2);
    assert_eq!(total::spawn(vec!["a", "b"])?.join()?, 2);
    Ok(())
}
