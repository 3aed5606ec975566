use procession::Process;

#[derive(Process)]
struct Task {
    call: Box<dyn Fn()>,
}

impl Task {
    fn run(self) {
        (self.call)();
    }
}

fn main() -> procession::Result<()> {
    Task {
        call: Box::new(|| ()),
    }
    .spawn()?
    .join()?;
    Ok(())
}
