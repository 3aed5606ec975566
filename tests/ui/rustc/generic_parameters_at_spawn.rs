use procession::process;

#[process]
fn task<T: procession::Transfer>(value: T) -> T {
    value
}

fn main() -> procession::Result<()> {
    assert_eq!(task::<u8>::spawn(1)?.join()?, 1);
    assert_eq!(task::spawn::<u8>(1)?.join()?, 1);
    Ok(())
}
