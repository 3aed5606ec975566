use procession::process;

#[process(struct = workers::Task, daemon)]
fn task() {}

fn main() -> procession::Result<()> {
    task::spawn()?.join()?;
    Ok(())
}
