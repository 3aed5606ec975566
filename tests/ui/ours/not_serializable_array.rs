use procession::process;
use std::rc::Rc;

#[process]
fn task(shared: [Rc<u8>; 2]) -> u8 {
    *shared[0] + *shared[1]
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn([Rc::new(1), Rc::new(2)])?.join()?, 3);
    Ok(())
}
