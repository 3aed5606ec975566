#[procession::main]
fn start() -> u8 {
    1
}

fn main() {
    assert_eq!(start(), 1);
}
