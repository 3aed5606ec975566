//! 64 bytes there and back by ipc-channel, between two threads, which costs what it does between two processes.

use ipc_channel::ipc;
use std::{thread, time::Instant};

const TRIPS: u32 = 20_000;

fn main() {
    let (sender, their_receiver) = ipc::channel::<[u64; 8]>().expect("there are descriptors");
    let (their_sender, receiver) = ipc::channel::<[u64; 8]>().expect("there are descriptors");
    thread::spawn(move || {
        while let Ok(message) = their_receiver.recv() {
            their_sender.send(message).expect("somebody waits for it");
        }
    });
    let mut taken = 0.0;
    for trips in [100, TRIPS] {
        let begun = Instant::now();
        for _ in 0..trips {
            sender.send([7; 8]).expect("it is received");
            assert_eq!(receiver.recv().expect("it replies"), [7; 8]);
        }
        taken = begun.elapsed().as_secs_f64() * 1e6 / f64::from(trips);
    }
    println!("ipc-channel, 64 bytes there and back over two channels\t{taken}");
}
