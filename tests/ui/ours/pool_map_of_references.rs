use procession::{Pool, process};

#[process]
fn square(n: u64) -> u64 {
    n * n
}

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    let jobs = [square::new(3), square::new(4)];
    for n in pool.map(&jobs) {
        println!("{n:?}");
    }
    Ok(())
}
