use procession::Process;

#[derive(Process)]
enum Task {
    Now,
}

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task::Now.run();
    Task::Now.spawn()?.join()?;
    Ok(())
}
