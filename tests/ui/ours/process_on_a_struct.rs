use procession::{Process, process};

#[process(daemon, output = u8)]
struct Task;

impl Task {
    fn run(self) -> u8 {
        1
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(Task.spawn()?.join()?, 1);
    Ok(())
}
