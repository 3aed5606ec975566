use procession::process;

#[process]
fn task(name: &'a str) -> usize {
    name.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn("a")?.join()?, 1);
    Ok(())
}
