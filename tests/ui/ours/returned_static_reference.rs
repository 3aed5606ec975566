use procession::process;

#[process]
fn name() -> Option<&'static str> {
    Some("name")
}

fn main() -> procession::Result<()> {
    assert_eq!(name::spawn()?.join()?, Some("name"));
    Ok(())
}
