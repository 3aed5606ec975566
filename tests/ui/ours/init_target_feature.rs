#[procession::init]
#[target_feature(enable = "sse2")]
fn setup() {}

fn main() {}
