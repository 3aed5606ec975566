use procession::channel::queue;
use std::fs::File;

fn main() -> procession::Result<()> {
    let (sender, _receiver) = queue(1)?;
    let _ = sender.send(File::open("log")?);
    Ok(())
}
