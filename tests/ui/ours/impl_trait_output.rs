use procession::process;

#[process]
fn numbers(end: u8) -> impl Iterator<Item = u8> {
    0..end
}

fn main() -> procession::Result<()> {
    assert_eq!(numbers(3).count(), 3);
    numbers::spawn(3)?.join()?;
    Ok(())
}
