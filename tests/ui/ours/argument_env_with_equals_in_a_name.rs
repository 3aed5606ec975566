use procession::process;

#[process(env("A=B" = "1"))]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
