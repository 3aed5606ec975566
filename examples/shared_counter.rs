//! Processes that count in memory which they share.
//!
//! Three processes add to a number, a thousand times each. An atomic loses none, and needs no lock. A plain number that is read and
//! then written would: two processes can read the same. Under a lock they cannot, and the lock has the number inside, so that nobody
//! gets at it without.
//!
//! ```text
//! with an atomic: 3000
//! with a lock: 3000
//! ```

use procession::{process, shm::Shared, sync::Mutex};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

#[process]
fn count(atomic: &Shared<AtomicU64>, locked: &Mutex<u64>) {
    for _ in 0..1000 {
        atomic.fetch_add(1, Ordering::Relaxed);
        *locked.lock().expect("nobody dies with it") += 1;
    }
}

pub(crate) fn main() -> io::Result<()> {
    let atomic = Shared::new(AtomicU64::new(0))?;
    let locked = Mutex::new(0)?;
    let p1 = count::spawn(&atomic, &locked)?;
    let p2 = count::spawn(&atomic, &locked)?;
    let p3 = count::spawn(&atomic, &locked)?;
    for p in [p1, p2, p3] {
        p.join()?;
    }
    println!("with an atomic: {}", atomic.load(Ordering::Relaxed));
    let total = *locked.lock().expect("nobody died with it");
    println!("with a lock: {total}");
    Ok(())
}
