use procession::process;

#[process]
fn task(values: Vec<_>) -> u64 {
    values[0]
}

fn main() -> procession::Result<()> {
    assert_eq!(task(vec![1]), task::spawn(vec![1])?.join()?);
    Ok(())
}
