use procession::process;

#[process]
#[test]
fn task() {}

fn main() {}
