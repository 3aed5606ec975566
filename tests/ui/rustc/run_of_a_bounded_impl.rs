use procession::{Process, Transfer};
use std::fmt::Debug;

#[derive(Process)]
struct Task<T: Transfer> {
    value: T,
}

impl<T: Transfer + Debug> Task<T> {
    fn run(self) {
        println!("{:?}", self.value);
    }
}

fn main() -> procession::Result<()> {
    Task { value: 1 }.spawn()?.join()?;
    Ok(())
}
