use procession::process;

#[process]
fn task<T: Default = u8>(times: usize) -> usize {
    drop(T::default());
    times
}

fn main() -> procession::Result<()> {
    assert_eq!(task::<u8>::spawn(1)?.join()?, 1);
    Ok(())
}
