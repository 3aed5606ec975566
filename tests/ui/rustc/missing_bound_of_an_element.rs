use procession::process;

#[process]
fn task<T>(values: Vec<T>) -> usize {
    values.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(vec![1])?.join()?, 1);
    Ok(())
}
