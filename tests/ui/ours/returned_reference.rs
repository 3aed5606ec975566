use procession::process;

#[process]
fn first(word: &str) -> &str {
    &word[..1]
}

fn main() -> procession::Result<()> {
    assert_eq!(first("ab"), "a");
    assert_eq!(first::spawn("ab")?.join()?, "a");
    Ok(())
}
