use procession::Process;
use std::rc::Rc;

#[derive(Process)]
struct Task {
    name: String,
    shared: Rc<u8>,
}

impl Task {
    fn run(self) {
        println!("{} {}", self.name, self.shared);
    }
}

fn main() -> procession::Result<()> {
    Task {
        name: "a".into(),
        shared: Rc::new(1),
    }
    .spawn()?
    .join()?;
    Ok(())
}
