use procession::Process;

#[procession::process(daemon)]
#[derive(Process)]
struct Task;

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task.spawn()?.join()?;
    Ok(())
}
