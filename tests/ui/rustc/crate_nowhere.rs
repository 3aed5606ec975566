use procession::process;

#[process(crate = ::nowhere)]
fn task(seconds: u64, text: &str) -> u64 {
    seconds + text.len() as u64
}

fn main() {
    assert_eq!(task(1, "a"), 2);
}
