use procession::{Process, Transfer};

#[derive(Process)]
struct Task<T> {
    value: T,
}

impl<T: Transfer> Task<T> {
    fn run(self) {
        drop(self.value);
    }
}

fn main() -> procession::Result<()> {
    Task { value: 1 }.spawn()?.join()?;
    Ok(())
}
