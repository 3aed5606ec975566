#[procession::main]
fn main(args: Vec<String>) -> procession::Result<()> {
    drop(args);
    Ok(())
}
