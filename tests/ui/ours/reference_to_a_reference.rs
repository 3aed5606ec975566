use procession::process;

#[process]
fn length(word: &&str) -> usize {
    word.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(length::spawn(&"a")?.join()?, 1);
    Ok(())
}
