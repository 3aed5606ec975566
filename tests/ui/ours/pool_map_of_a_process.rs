use procession::{Pool, process};

#[process]
fn square(n: u64) -> u64 {
    n * n
}

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    for n in pool.map(square::new(3)) {
        println!("{n:?}");
    }
    Ok(())
}
