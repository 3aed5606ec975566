use procession::process;
use std::error::Error;

#[process]
fn parse(text: &str) -> Result<u8, Box<dyn Error>> {
    Ok(text.parse()?)
}

fn main() -> procession::Result<()> {
    assert_eq!(parse::spawn("1")?.join()?.unwrap(), 1);
    Ok(())
}
