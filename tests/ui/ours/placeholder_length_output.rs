use procession::process;

#[process]
fn task() -> [u8; _] {
    [1, 2]
}

fn main() -> procession::Result<()> {
    task::spawn()?.join()?;
    Ok(())
}
