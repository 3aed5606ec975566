//! Messages to and from programs that are no relatives: listeners and clients, which prove to each other that they know a key.
//!
//! This is what Python has in `multiprocessing.connection`, and speaks the same protocol: a [`Listener`] here takes a `Client`
//! there, and the other way round, over TCP and Unix sockets. Here the handshake is bounded in time and size, both sides insist on
//! SHA-256 unless [MD5 is allowed](Options::allow_md5), and what arrives is bytes or a value of a known type, never code.
//!
//! | Python | here |
//! |---|---|
//! | `Listener(address, backlog=8, authkey=b"..")` | [`Listener::options()`](Listener::options)`.backlog(8).authkey(..).bind(address)` |
//! | `listener.accept()`, `listener.address` | [`accept`](Listener::accept), [`local_address`](Listener::local_address) |
//! | `Client(address, authkey=b"..")` | [`Client::options()`](Client::options)`.authkey(..).connect(address)` |
//! | `send_bytes`, `recv_bytes`, `recv_bytes_into`, `poll` | the same methods of [`Stream`] |
//! | `send`, `recv`, which pickle | [`send`](Stream::send), [`recv`](Stream::recv), between programs of this crate |
//! | `EOFError`, `BufferTooShort`, `AuthenticationError` | [`ErrorKind`] |
//!
//! The module is behind the feature `net`, which is on by default.
//!
//! # Examples
//!
//! The other side of this one in Python is `Client("\0greeter", authkey=b"known to both").recv_bytes()`, from Python 3.12 on; for
//! earlier ones, allow MD5.
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
mod opening;
mod options;
mod reception;
mod socket;
mod stream;

pub use address::Address;
pub use client::Client;
pub use error::{Error, ErrorKind, Result};
pub use listener::{Incoming, Listener};
pub use options::Options;
pub use stream::Stream;
