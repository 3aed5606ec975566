//! 64 MiB by ipc-channel, between two threads, which costs what it does between two processes: once by serde, once by its own calls
//! for bytes.

use ipc_channel::ipc;
use std::{thread, time::Instant};

const SIZE: usize = 64 << 20;

fn report(what: &str, mut taken: Vec<f64>) {
    taken.sort_by(f64::total_cmp);
    println!("ipc-channel, 64 MiB, {what}\t{}", taken[taken.len() / 2]);
}

fn main() {
    let by_serde = (0..5).map(|_| {
        let (sender, receiver) = ipc::channel::<Vec<u8>>().expect("there are descriptors");
        let bytes = vec![7; SIZE];
        let begun = Instant::now();
        let sending = thread::spawn(move || sender.send(bytes).expect("it is received"));
        let bytes = receiver.recv().expect("it is sent");
        let took = begun.elapsed().as_secs_f64() * 1e6;
        sending.join().expect("it does not panic");
        assert_eq!(bytes.len(), SIZE);
        took
    });
    report("Vec<u8> as message", by_serde.collect());
    let by_bytes = (0..5).map(|_| {
        let (sender, receiver) = ipc::bytes_channel().expect("there are descriptors");
        let bytes = vec![7; SIZE];
        let begun = Instant::now();
        let sending = thread::spawn(move || sender.send(&bytes).expect("it is received"));
        let bytes = receiver.recv().expect("it is sent");
        let took = begun.elapsed().as_secs_f64() * 1e6;
        sending.join().expect("it does not panic");
        assert_eq!(bytes.len(), SIZE);
        took
    });
    report("bytes over a bytes_channel", by_bytes.collect());
}
