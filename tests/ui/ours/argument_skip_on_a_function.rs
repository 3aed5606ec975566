use procession::process;

#[process(skip)]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
