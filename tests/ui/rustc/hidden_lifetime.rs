use procession::process;

type Name<'a> = &'a str;

#[process]
fn task(name: Name) -> usize {
    name.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task("a"), 1);
    assert_eq!(task::spawn("a")?.join()?, 1);
    Ok(())
}
