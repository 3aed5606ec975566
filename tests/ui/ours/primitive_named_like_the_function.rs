use procession::process;

#[process]
fn usize(text: &str) -> u64 {
    let length: usize = text.len();
    length as u64
}

fn main() -> procession::Result<()> {
    assert_eq!(usize("a"), usize::spawn("a")?.join()?);
    Ok(())
}
