use procession::process;
use std::{fmt, rc::Rc};

#[process]
fn task(value: u8) -> Result<Rc<u8>, fmt::Error> {
    Ok(Rc::new(value))
}

fn main() -> procession::Result<()> {
    assert_eq!(*task::spawn(1)?.join()?.unwrap(), 1);
    Ok(())
}
