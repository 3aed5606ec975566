use procession::{Pool, process};

struct Picture;

#[process]
fn resize(picture: Picture) {
    drop(picture);
}

fn main() -> procession::Result<()> {
    let pool = Pool::new()?;
    pool.submit(resize::new(Picture))?.join()?;
    Ok(())
}
