use procession::process;

#[process]
fn task<#[cfg(unix)] const N: u64>(seconds: u64) -> u64 {
    seconds + N
}

fn main() -> procession::Result<()> {
    assert_eq!(task::<1>::spawn(1)?.join()?, 2);
    Ok(())
}
