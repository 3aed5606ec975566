use procession::process;
use std::borrow::Cow;

#[process]
fn name<'a>(name: &'a str) -> Cow<'a, str> {
    name.into()
}

fn main() -> procession::Result<()> {
    assert_eq!(name::spawn("a")?.join()?, "a");
    Ok(())
}
