use procession::process;

#[process]
fn task(times: u8, tasks: Vec<task>) -> usize {
    tasks.len() + usize::from(times)
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1, vec![])?.join()?, 1);
    Ok(())
}
