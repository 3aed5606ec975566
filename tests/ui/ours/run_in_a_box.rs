use procession::Process;

#[derive(Process)]
struct Task {
    name: String,
}

impl Task {
    fn run(self: Box<Self>) {
        println!("{}", self.name);
    }
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
