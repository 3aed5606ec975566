use procession::Process;

#[derive(Process)]
union Task {
    number: u8,
}

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task { number: 1 }.spawn()?.join()?;
    Ok(())
}
