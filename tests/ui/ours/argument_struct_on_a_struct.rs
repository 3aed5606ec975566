use procession::Process;

#[derive(Process)]
#[process(struct = Worker)]
struct Task {
    seconds: u64,
}

impl Task {
    fn run(self) {
        _ = self.seconds;
    }
}

fn main() -> procession::Result<()> {
    Task { seconds: 1 }.spawn()?.join()?;
    Ok(())
}
