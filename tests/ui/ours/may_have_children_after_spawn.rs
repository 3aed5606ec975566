use procession::process;

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let child = task::spawn(1)?;
    child.may_have_children(true);
    assert_eq!(child.join()?, 1);
    Ok(())
}
