use procession::process;

#[process]
fn task(name: &str, value: Missing) -> usize {
    name.len() + value
}

fn main() -> procession::Result<()> {
    drop(task {
        name: "a",
        value: 1,
    });
    Ok(())
}
