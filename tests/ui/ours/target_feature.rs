use procession::process;

#[process]
#[cfg_attr(all(), target_feature(enable = "sse2"))]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    Ok(())
}
