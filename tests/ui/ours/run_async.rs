use procession::Process;

#[derive(Process)]
#[process(output = u64)]
struct Task {
    seconds: u64,
}

impl Task {
    async fn run(self) -> u64 {
        self.seconds
    }
}

fn main() -> procession::Result<()> {
    Task { seconds: 1 }.spawn()?.join()?;
    Ok(())
}
