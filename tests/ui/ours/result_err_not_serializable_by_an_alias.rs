use procession::process;
use std::fmt;

#[process]
fn task() -> fmt::Result {
    Ok(())
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn()?.join()?, Ok(()));
    Ok(())
}
