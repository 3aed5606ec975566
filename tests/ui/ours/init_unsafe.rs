#[procession::init]
unsafe fn setup() {}

fn main() {}
