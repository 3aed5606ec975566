//! 64 bytes there and back by crossmist, in a vector: it panics when it sends them as an array or a tuple.

use std::time::Instant;

const TRIPS: u32 = 20_000;

type Message = Vec<u8>;

#[crossmist::func]
fn echo(mut connection: crossmist::Duplex<Message, Message>) {
    while let Ok(Some(message)) = connection.recv() {
        connection.send(&message).expect("somebody waits for it");
    }
}

#[crossmist::main]
fn main() {
    let (mut ours, theirs) =
        crossmist::duplex::<Message, Message>().expect("there are descriptors");
    let _child = echo.spawn(theirs).expect("it starts");
    let message = vec![7; 64];
    let mut taken = 0.0;
    for trips in [100, TRIPS] {
        let begun = Instant::now();
        for _ in 0..trips {
            ours.send(&message).expect("it is received");
            assert_eq!(ours.recv().expect("it replies"), Some(message.clone()));
        }
        taken = begun.elapsed().as_secs_f64() * 1e6 / f64::from(trips);
    }
    println!("crossmist, 64 bytes there and back over a duplex\t{taken}");
}
