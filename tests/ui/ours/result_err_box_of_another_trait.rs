use procession::process;
use std::fmt::Display;

#[process]
fn parse(text: &str) -> Result<u8, Box<dyn Display>> {
    text.parse().map_err(|error| Box::new(error) as _)
}

fn main() -> procession::Result<()> {
    assert_eq!(parse::spawn("1")?.join()?.ok(), Some(1));
    Ok(())
}
