use procession::Process;

#[derive(Process)]
struct Task {
    seconds: u64,
    #[process(skip)]
    start: std::time::Instant,
}

impl Task {
    fn run(self) {
        _ = (self.seconds, self.start);
    }
}

fn main() {}
