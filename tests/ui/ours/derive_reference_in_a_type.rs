use procession::Process;

#[derive(Process)]
struct Task<'a>(Vec<&'a str>);

impl Task<'_> {
    fn run(self) {
        drop(self.0);
    }
}

fn main() -> procession::Result<()> {
    Task(vec!["a"]).spawn()?.join()?;
    Ok(())
}
