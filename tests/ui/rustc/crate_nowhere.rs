use procession::process;

#[process(crate = ::nowhere)]
fn task(seconds: u64, text: &str) -> u64 {
    seconds + text.len() as u64
}

fn main() {
    assert_eq!(task(1, "a"), 2);
    assert_eq!(task::spawn(1, "a").unwrap().join().unwrap(), 2);
    assert_eq!(task::new(1, "a").run(), 2);
}
