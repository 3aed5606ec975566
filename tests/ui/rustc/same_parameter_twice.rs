use procession::process;

#[process]
fn task(_name: u8, _name: u8) -> u8 {
    1
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(1, 2)?.join()?, 1);
    Ok(())
}
