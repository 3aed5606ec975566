use procession::process;

trait Task {
    #[process]
    fn task(seconds: u64);
}

struct Mine;

impl Task for Mine {
    fn task(_: u64) {}
}

fn main() -> procession::Result<()> {
    Mine::task(1);
    Ok(())
}
