use procession::process;

#[process]
fn task(seconds: u64) -> _ {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
