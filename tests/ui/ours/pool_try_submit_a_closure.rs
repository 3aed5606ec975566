use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    let job = pool.job().retries(1).try_submit(|| 3 * 3);
    drop(job);
    Ok(())
}
