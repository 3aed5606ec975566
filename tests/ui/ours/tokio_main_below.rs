use procession::process;

mod tokio {
    pub use std::prelude::v1::test as main;
}

#[process]
#[tokio::main]
async fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
