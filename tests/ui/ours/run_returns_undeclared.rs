use procession::Process;

#[derive(Process)]
struct Task {
    name: String,
}

impl Task {
    fn run(self) -> usize {
        self.name.len()
    }
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
