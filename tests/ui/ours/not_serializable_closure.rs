use procession::process;

#[process]
fn task<F: Fn() -> usize>(name: String, function: F) -> usize {
    name.len() + function()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn("a".into(), || 1)?.join()?, 2);
    Ok(())
}
