use procession::process;

#[process(daemon)]
struct Task;

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task.run();
    Ok(())
}
