use procession::process;

#[process]
fn task(name: &str) -> Missing {
    name.len()
}

fn main() -> procession::Result<()> {
    task::spawn("a")?.join()?;
    Ok(())
}
