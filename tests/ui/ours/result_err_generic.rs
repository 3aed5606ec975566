use procession::{Transfer, process};

#[process]
fn check<T: Transfer, E>(value: T) -> Result<T, E> {
    Ok(value)
}

fn main() -> procession::Result<()> {
    assert_eq!(check::<u8, String>::spawn(1)?.join()?, Ok(1));
    Ok(())
}
