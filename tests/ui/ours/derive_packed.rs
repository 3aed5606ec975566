use procession::Process;

#[derive(Process)]
#[repr(C, packed(2))]
struct Task {
    seconds: u64,
}

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task { seconds: 1 }.spawn()?.join()?;
    Ok(())
}
