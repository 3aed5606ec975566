use procession::Process;

#[derive(Process)]
#[process(daemon, output = ())]
#[process(daemon)]
struct Task;

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task.spawn()?.join()?;
    Ok(())
}
