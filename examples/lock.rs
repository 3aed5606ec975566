//! A process that is terminated while it holds a lock blocks nobody.
//!
//! In the lecture this is the way to a deadlock: whoever wants the lock next waits for a process that is no more. Here the lock is
//! given back when its holder ends, however that happens, and the next one to take it is told that what it guards may be half changed:
//! the lock is poisoned, as a lock of std is after a panic.
//!
//! ```text
//! holder: has the lock
//! main process: the lock is taken
//! main process: terminates the holder
//! main process: has the lock, and is told that a holder has died
//! half a transfer: 60 and 0
//! put right: 60 and 40
//! after: 60 and 40
//! ```

use procession::{
    process,
    sync::{Event, Mutex},
};
use std::{io, thread};

#[process]
fn transfer(accounts: &Mutex<[u32; 2]>, half_way: &Event) {
    let mut accounts = accounts.lock().expect("it is the first");
    println!("holder: has the lock");
    accounts[0] -= 40;
    half_way.set();
    loop {
        thread::park(); // and never comes to add them to the other
    }
}

pub(crate) fn main() -> io::Result<()> {
    let accounts = Mutex::new([100, 0])?;
    let half_way = Event::new()?;
    let mut p = transfer::spawn(&accounts, &half_way)?;
    half_way.wait()?;
    if accounts.try_lock().is_err() {
        println!("main process: the lock is taken");
    }
    println!("main process: terminates the holder");
    p.terminate()?;
    p.wait()?;
    match accounts.lock() {
        Ok(_) => println!("main process: has the lock"),
        Err(poisoned) => {
            println!("main process: has the lock, and is told that a holder has died");
            let mut accounts = poisoned.into_inner();
            println!("half a transfer: {} and {}", accounts[0], accounts[1]);
            accounts[1] = 100 - accounts[0];
            println!("put right: {} and {}", accounts[0], accounts[1]);
        }
    }
    accounts.clear_poison();
    let [one, other] = *accounts.lock().expect("it is whole again");
    println!("after: {one} and {other}");
    Ok(())
}
