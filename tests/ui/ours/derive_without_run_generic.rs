use procession::{Process, Transfer};

#[derive(Process)]
struct Task<'a, T: Transfer> {
    name: &'a str,
    value: T,
}

fn main() -> procession::Result<()> {
    Task {
        name: "a",
        value: 1,
    }
    .spawn()?
    .join()?;
    Ok(())
}
