//! The side that connects.

use super::{Address, Options, Result, Stream};

/// Connects to listeners. The counterpart of Python's function `Client`.
///
/// This type has no values. It only holds the functions that make connections.
///
/// # Examples
///
/// ```
/// use procession::net::{Address, Client, Listener};
///
/// let listener = Listener::bind(Address::from_abstract_name("Client"))?;
/// let mut stream = Client::connect(listener.local_address())?;
/// stream.send_bytes(b"hello")?;
/// assert_eq!(listener.accept()?.recv_bytes()?, b"hello");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Client {}

impl Client {
    /// Connects to a listener, without a key and with the defaults of [`Options`].
    ///
    /// Blocks until the connection is made and, if there is a key, both sides have proven it. If
    /// the listener does not [accept](super::Listener::accept), a client with a key waits until the
    /// handshake times out.
    ///
    /// # Errors
    ///
    /// - [`Io`](super::ErrorKind::Io) if the system refuses. The source is the system's error.
    /// - [`Address`](super::ErrorKind::Address) if no socket can have this address.
    /// - [`TimedOut`](super::ErrorKind::TimedOut) if connecting or the handshake takes too long.
    ///
    /// With a key, the handshake can also fail:
    ///
    /// - [`Rejected`](super::ErrorKind::Rejected) if the listener has another key.
    /// - [`WrongKey`](super::ErrorKind::WrongKey) if the listener accepts the client, but cannot
    ///   prove the key itself.
    /// - [`WeakDigest`](super::ErrorKind::WeakDigest), [`NoKey`](super::ErrorKind::NoKey),
    ///   [`Reflected`](super::ErrorKind::Reflected), [`Protocol`](super::ErrorKind::Protocol),
    ///   [`TooLarge`](super::ErrorKind::TooLarge), [`Closed`](super::ErrorKind::Closed) or
    ///   [`Truncated`](super::ErrorKind::Truncated).
    ///
    /// # Examples
    ///
    /// See [`Client`].
    pub fn connect(address: impl Into<Address>) -> Result<Stream> {
        Options::new().connect(address)
    }

    /// Returns [`Options`], to set a key and limits before [`connect`](Options::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Address, Client, ErrorKind};
    /// use std::time::Duration;
    ///
    /// let hasty = Client::options().connect_timeout(Duration::from_millis(10));
    /// let error = hasty.connect(Address::from_abstract_name("nobody is here")).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Io);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn options() -> Options {
        Options::new()
    }
}
