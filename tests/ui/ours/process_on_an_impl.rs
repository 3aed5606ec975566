use procession::process;

struct Task;

#[process]
impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task.run();
    Ok(())
}
