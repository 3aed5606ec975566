use procession::{Pool, process};

#[process]
fn square(n: u64) -> u64 {
    n * n
}

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    // It runs here, and what it returns is no process.
    for n in pool.map((0..9).map(square)) {
        println!("{n:?}");
    }
    Ok(())
}
