use procession::Pool;

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    for (index, n) in pool.map_unordered(vec!["a", "b"]) {
        println!("{index} {n:?}");
    }
    Ok(())
}
