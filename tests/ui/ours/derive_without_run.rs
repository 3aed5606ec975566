use procession::Process;

#[derive(Process)]
struct Task {
    name: String,
}

fn main() -> procession::Result<()> {
    Task { name: "a".into() }.spawn()?.join()?;
    Ok(())
}
