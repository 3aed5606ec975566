use procession::Process;

#[derive(Process)]
#[process(output = &'static str)]
struct Task;

impl Task {
    fn run(self) -> &'static str {
        "a"
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(Task.spawn()?.join()?, "a");
    Ok(())
}
