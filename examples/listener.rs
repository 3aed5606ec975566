//! A listener serves programs that know the key, and nobody else.
//!
//! It waits at an address for clients, which need not be its children, nor be written in Rust. Before a client is served, both
//! sides prove to each other that they know the key, which does not travel. One that does not know it is an error of that `accept`, and
//! the next client is served.
//!
//! Here two children play the clients. With an address, as in `cargo run --example listener -- 127.0.0.1:6000`, it waits for one
//! from elsewhere: `Client(("127.0.0.1", 6000), authkey=b"known to both")` is one in Python 3.12 or later.
//!
//! ```text
//! a client says: hello
//! another is refused: its handshake failed with WrongKey
//! ```

use procession::{
    AuthKey,
    net::{Address, Client, Listener},
    process,
};
use std::{env, io, net::Ipv4Addr};

#[process]
fn client(address: &Address, key: &AuthKey) -> Option<Vec<u8>> {
    let mut stream = Client::options()
        .authkey(key.clone())
        .connect(address)
        .ok()?;
    stream.send_bytes(b"hello").expect("the listener receives");
    Some(stream.recv_bytes().expect("the listener answers"))
}

fn serve(listener: &Listener) -> io::Result<()> {
    let mut stream = listener.accept()?;
    let said = stream.recv_bytes()?;
    println!("a client says: {}", String::from_utf8_lossy(&said));
    stream.send_bytes(b"good day")?;
    Ok(())
}

pub(crate) fn main() -> io::Result<()> {
    let options = Listener::options().authkey(AuthKey::new(b"known to both"));
    if let Some(address) = env::args().nth(1) {
        return serve(&options.bind(address.parse::<Address>()?)?);
    }
    let listener = options.bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_address();

    let p1 = client::spawn(address, &AuthKey::new(b"known to both"))?;
    serve(&listener)?;
    assert_eq!(p1.join()?.as_deref(), Some(&b"good day"[..]));

    let p2 = client::spawn(address, &AuthKey::new(b"a guess"))?;
    if let Err(error) = listener.accept() {
        println!(
            "another is refused: its handshake failed with {:?}",
            error.kind()
        );
    }
    assert_eq!(p2.join()?, None);
    Ok(())
}
