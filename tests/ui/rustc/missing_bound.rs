use procession::{Transfer, process};

#[process]
fn task<T: Transfer + Ord>(value: T) -> T {
    value
}

fn main() -> procession::Result<()> {
    task::spawn(1.5)?.join()?;
    Ok(())
}
