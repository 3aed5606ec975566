use procession::Process;

#[derive(Process)]
struct Task {
    text: str,
}

impl Task {
    fn run(&self) {
        _ = self.text.len();
    }
}

fn main() {}
