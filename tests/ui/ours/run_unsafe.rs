use procession::Process;

#[derive(Process)]
struct Task {
    name: String,
}

impl Task {
    unsafe fn run(&self) {
        println!("{}", self.name);
    }
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
