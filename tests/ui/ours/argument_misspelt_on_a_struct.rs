use procession::Process;

#[derive(Process)]
#[process(ouput = usize)]
struct Task;

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task.spawn()?.join()?;
    Ok(())
}
