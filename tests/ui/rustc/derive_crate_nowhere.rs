use procession::Process;

#[derive(Process)]
#[process(crate = ::nowhere)]
struct Task {
    seconds: u64,
    text: String,
}

impl Task {
    fn run(self) {
        _ = (self.seconds, self.text);
    }
}

fn main() {}
