#[procession::init]
fn setup() -> bool {
    true
}

fn main() {}
