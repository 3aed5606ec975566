//! Many messages of 64 bytes by ipc-channel, between two threads, which costs what it does between two processes.

use ipc_channel::ipc;
use std::{thread, time::Instant};

const MESSAGES: u32 = 100_000;

fn main() {
    let (sender, receiver) = ipc::channel::<[u64; 8]>().expect("there are descriptors");
    let begun = Instant::now();
    let counter = thread::spawn(move || std::iter::from_fn(|| receiver.recv().ok()).count());
    for _ in 0..MESSAGES {
        sender.send([7; 8]).expect("it is received");
    }
    drop(sender);
    assert_eq!(counter.join().expect("it counts"), MESSAGES as usize);
    let taken = begun.elapsed().as_secs_f64() * 1e6 / f64::from(MESSAGES);
    println!("ipc-channel, 64 bytes through a channel\t{taken}");
}
