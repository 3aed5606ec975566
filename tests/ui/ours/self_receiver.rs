use procession::process;

struct Counter {
    count: usize,
}

impl Counter {
    #[process]
    fn count(&self) -> usize {
        self.count
    }
}

fn main() -> procession::Result<()> {
    assert_eq!(Counter { count: 1 }.count(), 1);
    Ok(())
}
