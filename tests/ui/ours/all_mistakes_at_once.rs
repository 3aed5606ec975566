// The one case with more than one mistake: all are reported at once.
use procession::process;

#[process(deamon, name = 1)]
async fn task(list: &mut Vec<u8>, words: &[&str]) -> &'static str {
    list.extend(words[0].as_bytes());
    "a"
}

fn main() -> procession::Result<()> {
    task::spawn(&mut vec![], &["a"])?.join()?;
    Ok(())
}
