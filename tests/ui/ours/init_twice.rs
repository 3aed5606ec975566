#[procession::init]
#[procession::init]
fn setup() {}

fn main() {}
