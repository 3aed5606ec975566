use procession::{Process, process};

#[process]
fn task(seconds: u64) -> u64 {
    seconds
}

fn main() -> procession::Result<()> {
    let process = task::new(1);
    if let Some(value) = process.try_join()? {
        assert_eq!(value, 1);
    }
    assert_eq!(process.spawn()?.join()?, 1);
    Ok(())
}
