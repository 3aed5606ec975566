use procession::process;

#[process]
fn call(function: dyn Fn() -> u8) -> u8 {
    function()
}

fn main() -> procession::Result<()> {
    assert_eq!(call::spawn(&|| 1)?.join()?, 1);
    Ok(())
}
