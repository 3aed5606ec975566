use procession::process;

#[process]
fn show(value: impl ToString, times: usize) -> String {
    value.to_string().repeat(times)
}

fn main() -> procession::Result<()> {
    assert_eq!(show(1, 2), "11");
    assert_eq!(show::spawn(1, 2)?.join()?, "11");
    Ok(())
}
