use procession::process;

#[process]
fn length(word: Option<&'static str>) -> usize {
    word.map_or(0, str::len)
}

fn main() -> procession::Result<()> {
    assert_eq!(length::spawn(Some("a"))?.join()?, 1);
    Ok(())
}
