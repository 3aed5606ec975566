use procession::Process;

#[derive(Process)]
struct Task {
    name: &'a str,
}

impl Task {
    fn run(self) {}
}

fn main() -> procession::Result<()> {
    Task { name: "a" }.spawn()?.join()?;
    Ok(())
}
