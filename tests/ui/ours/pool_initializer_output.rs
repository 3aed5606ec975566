use procession::{Pool, process};

#[process]
fn set_up() -> bool {
    true
}

fn main() -> procession::Result<()> {
    let pool = Pool::builder().initializer(set_up::new()).build()?;
    pool.close();
    Ok(())
}
