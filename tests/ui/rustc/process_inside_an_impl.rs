use procession::process;

struct Tasks;

impl Tasks {
    #[process]
    fn task(seconds: u64) -> u64 {
        seconds
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(Tasks::task(1), 1);
    Ok(())
}
