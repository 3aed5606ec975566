use procession::Process;

trait Job {
    fn run(&mut self) -> impl Future<Output = ()>;
}

#[derive(Process)]
struct Task {
    name: String,
}

impl Job for Task {
    async fn run(&mut self) {
        println!("{}", self.name);
    }
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
