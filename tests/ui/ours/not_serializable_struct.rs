use procession::process;

struct Settings {
    times: usize,
}

#[process]
fn task(settings: Settings) -> usize {
    settings.times
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(Settings { times: 1 })?.join()?, 1);
    Ok(())
}
