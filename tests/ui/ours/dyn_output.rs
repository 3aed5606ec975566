use procession::process;
use std::any::Any;

#[process]
fn parse(text: &str) -> Result<Box<dyn Any>, String> {
    Ok(Box::new(text.len()))
}

fn main() -> procession::Result<()> {
    assert!(parse::spawn("1")?.join()?.unwrap().is::<usize>());
    Ok(())
}
