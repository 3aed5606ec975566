use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    let job = pool.submit(|| 3 * 3)?;
    assert_eq!(job.join()?, 9);
    Ok(())
}
