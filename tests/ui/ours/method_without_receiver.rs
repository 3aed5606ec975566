use procession::process;

struct Task;

impl Task {
    #[process]
    fn new(seconds: u64) -> Self {
        drop(seconds);
        Self
    }
}

fn main() {
    drop(Task::new(1));
}
