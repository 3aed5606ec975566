use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    let job = pool.submit(3)?;
    drop(job);
    Ok(())
}
