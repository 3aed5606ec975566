use procession::process;
use std::io;

#[process]
fn task() -> Option<io::Error> {
    None
}

fn main() -> procession::Result<()> {
    assert!(task::spawn()?.join()?.is_none());
    Ok(())
}
