use procession::Process;

#[derive(Process)]
struct Task;

impl Task {
    fn run() {}
}

fn main() -> procession::Result<()> {
    Task.spawn()?.join()?;
    Ok(())
}
