use procession::Process;

#[derive(Process)]
#[process(output = impl Iterator<Item = u64>)]
struct Task {
    seconds: u64,
}

impl Task {
    fn run(self) -> impl Iterator<Item = u64> {
        0..self.seconds
    }
}

fn main() -> procession::Result<()> {
    Task { seconds: 1 }.spawn()?.join()?;
    Ok(())
}
