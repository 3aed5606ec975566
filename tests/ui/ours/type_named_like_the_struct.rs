use procession::process;

struct Worker;

#[process(struct = Worker)]
fn task(worker: Worker) -> u64 {
    drop(worker);
    1
}

fn main() {
    assert_eq!(task(Worker), 1);
}
