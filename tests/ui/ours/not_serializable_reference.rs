use procession::process;
use std::rc::Rc;

#[process]
fn task(name: &str, shared: &Rc<u8>) -> usize {
    name.len() + usize::from(**shared)
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn("a", &Rc::new(1))?.join()?, 2);
    Ok(())
}
