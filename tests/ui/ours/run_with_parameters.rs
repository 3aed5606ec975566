use procession::Process;

#[derive(Process)]
struct Task {
    name: String,
}

impl Task {
    fn run(self, times: usize) {
        println!("{}", self.name.repeat(times));
    }
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
