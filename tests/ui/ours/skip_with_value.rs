use procession::Process;

#[derive(Process)]
struct Task {
    #[process(skip = true)]
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
