use procession::Pool;

fn square(n: u64) -> u64 {
    n * n
}

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    let job = pool.submit(square)?;
    assert_eq!(job.join()?, square(3));
    Ok(())
}
