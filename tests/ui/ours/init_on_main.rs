#[procession::init]
fn main() {}
