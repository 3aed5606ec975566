//! A client asks a listener, and goes on with its own work until there is an answer.
//!
//! Between programs that are built with this crate, values travel as they do to a child. A message arrives whole or not yet: what has
//! come of it when `poll` gives up is kept for the next attempt.
//!
//! Here a child accepts in place of its parent, which has handed it the listener. With an address, as in
//! `cargo run --example client -- 127.0.0.1:6000`, the client goes elsewhere and exchanges bytes, since
//! `Listener(("127.0.0.1", 6000), authkey=b"known to both")` in Python 3.12 or later knows no values of Rust.
//!
//! ```text
//! no answer yet
//! the listener counts 5 words
//! the listener is gone: Closed
//! ```

use procession::{
    AuthKey,
    net::{Address, Client, Listener, Options},
    process,
};
use std::{
    env,
    io::{self, PipeReader, Read, Write},
    net::Ipv4Addr,
    time::Duration,
};

#[process]
fn count_words(listener: &Listener, mut turn: PipeReader) {
    let mut stream = listener.accept().expect("the client knows the key");
    let text: String = stream.recv().expect("the client asks");
    turn.read_exact(&mut [0])
        .expect("the client gives the turn");
    let count = text.split_whitespace().count();
    stream.send(&count).expect("the client receives");
}

fn ask_elsewhere(options: &Options, address: &Address) -> io::Result<()> {
    let mut stream = options.connect(address)?;
    stream.send_bytes(b"hello")?;
    let answer = stream.recv_bytes()?;
    println!("the listener says: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

pub(crate) fn main() -> io::Result<()> {
    let options = Client::options().authkey(AuthKey::new(b"known to both"));
    if let Some(address) = env::args().nth(1) {
        return ask_elsewhere(&options, &address.parse()?);
    }
    let listener = options.bind((Ipv4Addr::LOCALHOST, 0))?;
    let (turn, mut go) = io::pipe()?;
    let p = count_words::spawn(&listener, turn)?;

    let mut stream = options.connect(listener.local_address())?;
    stream.send("how many words are these")?;
    if !stream.poll(Duration::from_millis(10)) {
        println!("no answer yet");
    }
    go.write_all(b"!")?;
    let count: usize = stream.recv()?;
    println!("the listener counts {count} words");
    if let Err(error) = stream.recv_bytes() {
        println!("the listener is gone: {:?}", error.kind());
    }
    p.join()?;
    Ok(())
}
