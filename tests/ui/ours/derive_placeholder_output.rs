use procession::Process;

#[derive(Process)]
#[process(output = Vec<_>)]
struct Task {
    seconds: u64,
}

impl Task {
    fn run(self) -> Vec<u64> {
        vec![self.seconds]
    }
}

fn main() -> procession::Result<()> {
    Task { seconds: 1 }.spawn()?.join()?;
    Ok(())
}
