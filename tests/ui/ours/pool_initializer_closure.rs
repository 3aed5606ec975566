use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::builder().initializer(|| println!("set up")).build()?;
    pool.close();
    Ok(())
}
