#[procession::init]
async fn setup() {}

fn main() {}
