use procession::process;

#[process(current_dir = "")]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
