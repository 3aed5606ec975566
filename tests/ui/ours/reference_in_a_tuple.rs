use procession::process;

#[process]
fn length((word, times): (&str, usize)) -> usize {
    word.len() * times
}

fn main() -> procession::Result<()> {
    assert_eq!(length::spawn(("a", 2))?.join()?, 2);
    Ok(())
}
