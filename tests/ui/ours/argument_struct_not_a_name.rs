use procession::process;

#[process(struct = "Worker")]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() {
    assert_eq!(task(1), 1);
}
