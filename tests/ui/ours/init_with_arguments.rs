#[procession::init(order = 1)]
fn setup() {}

fn main() {}
