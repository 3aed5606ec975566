use procession::process;

#[process]
fn push(list: &mut Vec<u8>, value: u8) {
    list.push(value);
}

fn main() -> procession::Result<()> {
    push(&mut vec![], 1);
    push::spawn(&mut vec![], 1)?.join()?;
    Ok(())
}
