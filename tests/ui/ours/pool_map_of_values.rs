use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    for n in pool.map(0..9) {
        println!("{n:?}");
    }
    Ok(())
}
