use procession::process;

#[process]
fn task(name: String, pointer: *const u8) -> bool {
    name.is_empty() && pointer.is_null()
}

fn main() -> procession::Result<()> {
    assert!(task::spawn(String::new(), std::ptr::null())?.join()?);
    Ok(())
}
