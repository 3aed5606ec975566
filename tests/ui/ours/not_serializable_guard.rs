use procession::process;
use std::sync::{Mutex, MutexGuard};

#[process]
fn task(name: String, guard: MutexGuard<'_, u8>) -> usize {
    name.len() + usize::from(*guard)
}

fn main() -> procession::Result<()> {
    let mutex = Mutex::new(1);
    assert_eq!(task::spawn("a".into(), mutex.lock().unwrap())?.join()?, 2);
    Ok(())
}
