//! Many messages of 64 bytes by crossmist.

use std::time::Instant;

const MESSAGES: u32 = 100_000;

type Message = [u64; 8];

#[crossmist::func]
fn count(mut messages: crossmist::Receiver<Message>) -> u32 {
    let mut counted = 0;
    while let Ok(Some(_)) = messages.recv() {
        counted += 1;
    }
    counted
}

#[crossmist::main]
fn main() {
    let (mut sender, receiver) = crossmist::channel::<Message>().expect("there are descriptors");
    let child = count.spawn(receiver).expect("it starts");
    let begun = Instant::now();
    for _ in 0..MESSAGES {
        sender.send(&[7; 8]).expect("it is received");
    }
    drop(sender);
    assert_eq!(child.join().expect("it counts"), MESSAGES);
    let taken = begun.elapsed().as_secs_f64() * 1e6 / f64::from(MESSAGES);
    println!("crossmist, 64 bytes through a channel\t{taken}");
}
