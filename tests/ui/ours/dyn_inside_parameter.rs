use procession::process;

#[process]
fn call(function: Box<dyn Fn() -> u8>) -> u8 {
    function()
}

fn main() -> procession::Result<()> {
    assert_eq!(call::spawn(Box::new(|| 1))?.join()?, 1);
    Ok(())
}
