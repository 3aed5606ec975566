use procession::process;

#[process]
fn show(value: &dyn ToString) -> String {
    value.to_string()
}

fn main() -> procession::Result<()> {
    assert_eq!(show(&1), "1");
    assert_eq!(show::spawn(&1)?.join()?, "1");
    Ok(())
}
