use procession::process;
use std::{io, rc::Rc};

#[process]
fn task(value: u8) -> io::Result<Rc<u8>> {
    Ok(Rc::new(value))
}

fn main() -> procession::Result<()> {
    assert_eq!(*task::spawn(1)?.join()??, 1);
    Ok(())
}
