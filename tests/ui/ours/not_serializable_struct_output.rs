use procession::Process;
use std::rc::Rc;

#[derive(Process)]
#[process(output = Rc<u8>)]
struct Task;

impl Task {
    fn run(self) -> Rc<u8> {
        Rc::new(1)
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(*Task.spawn()?.join()?, 1);
    Ok(())
}
