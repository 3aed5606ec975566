use procession::process;
use std::num::ParseIntError;

#[process]
fn parse(text: &str) -> Result<u8, ParseIntError> {
    text.parse()
}

fn main() -> procession::Result<()> {
    assert_eq!(parse::spawn("1")?.join()?, Ok(1));
    Ok(())
}
