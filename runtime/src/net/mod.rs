//! Messages between programs that are not parent and child: listeners and clients, which prove to
//! each other that they know a key.
//!
//! This module does what Python's `multiprocessing.connection` does, and speaks the same protocol.
//! A [`Listener`] here accepts a Python `Client`, and a Python `Listener` accepts a [`Client`],
//! over TCP and Unix sockets. There are three differences: the handshake is limited in time and
//! size, MD5 is refused unless [it is allowed](Options::allow_md5), and a received message is bytes
//! or a value of a known type, never code.
//!
//! | Python | This module |
//! |---|---|
//! | `Listener(address, authkey=key)` | [`Listener::options()`]`.authkey(key).bind(address)` |
//! | `Listener(address, backlog=8)` | [`Options::backlog`] |
//! | `listener.accept()`, `listener.address` | [`Listener::accept`], [`Listener::local_address`] |
//! | `Client(address, authkey=key)` | [`Client::options()`]`.authkey(key).connect(address)` |
//! | `send_bytes`, `recv_bytes`, `recv_bytes_into`, `poll` | the same methods of [`Stream`] |
//! | `send`, `recv` (pickle) | [`Stream::send`], [`Stream::recv`] (this crate on both sides) |
//! | `EOFError`, `BufferTooShort`, `AuthenticationError` | [`ErrorKind`] |
//!
//! This module needs the feature `net`, which is not enabled by default.
//!
//! # Examples
//!
//! The peer of this example in Python is
//! `Client("\0greeter", authkey=b"known to both").recv_bytes()`. With Python 3.11 or earlier, allow
//! MD5.
//!
//! ```
//! use procession::{AuthKey, net::{Address, Listener}};
//! # use procession::net::Client;
//!
//! let key = AuthKey::new(b"known to both");
//! let listener = Listener::options().authkey(key).bind(Address::from_abstract_name("greeter"))?;
//! # let client = std::thread::spawn(|| {
//! #     let options = Client::options().authkey(AuthKey::new(b"known to both"));
//! #     options.connect(Address::from_abstract_name("greeter"))?.recv_bytes()
//! # });
//! let mut stream = listener.accept()?;
//! stream.send_bytes(b"good day")?;
//! # assert_eq!(client.join().unwrap()?, b"good day");
//! # Ok::<(), procession::Error>(())
//! ```

mod address;
mod client;
mod digest;
mod error;
mod frame;
mod framed;
mod handshake;
mod listener;
mod listening;
mod opening;
mod options;
mod parse;
mod reception;
mod socket;
mod stream;

pub use address::Address;
pub use client::Client;
pub use error::{Error, ErrorKind, Result};
pub use listener::{Incoming, Listener};
pub use options::Options;
pub use stream::Stream;
