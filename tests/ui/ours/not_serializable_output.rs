use procession::process;
use std::rc::Rc;

#[process]
fn task(value: u8) -> Rc<u8> {
    Rc::new(value)
}

fn main() -> procession::Result<()> {
    assert_eq!(*task::spawn(1)?.join()?, 1);
    Ok(())
}
