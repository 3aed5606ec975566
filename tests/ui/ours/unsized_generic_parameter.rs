use procession::process;

#[process]
fn task<T: ?Sized + AsRef<str>>(text: &T) -> usize {
    text.as_ref().len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task("a"), task::spawn("a")?.join()?);
    Ok(())
}
