use procession::process;

#[process]
fn task(name: &str, times: usize) -> usize {
    name.len() * times
}

fn main() -> procession::Result<()> {
    task::spawn("a", "b")?.join()?;
    Ok(())
}
