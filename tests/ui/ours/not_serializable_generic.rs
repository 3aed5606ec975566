use procession::process;

#[process]
fn task<T>(value: T) {
    drop(value);
}

fn main() -> procession::Result<()> {
    task::spawn(1)?.join()?;
    task { value: "a" }.run();
    Ok(())
}
