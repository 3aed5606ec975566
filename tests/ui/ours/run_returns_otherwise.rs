use procession::Process;

#[derive(Process)]
#[process(output = String)]
struct Task {
    name: String,
}

impl Task {
    fn run(&mut self) -> usize {
        self.name.len()
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(Task { name: "a".into() }.spawn()?.join()?, "a");
    Ok(())
}
