use procession::Process;

#[derive(Process)]
struct Task {
    values: Vec<_>,
}

impl Task {
    fn run(self) {}
}

fn main() {}
