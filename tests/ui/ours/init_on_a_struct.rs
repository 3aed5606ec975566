#[procession::init]
struct Setup;

fn main() {}
