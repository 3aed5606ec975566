//! The side that connects.

use super::{Address, Options, Result, Stream};

/// Connects to listeners: what Python's function `Client` does.
///
/// There is no value of this type, only the connections that it makes.
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
    /// Connects to a listener, without a key and with the other defaults of [`Options`].
    ///
    /// It returns when the connection is made and both sides have proven the key, if there is one. To a listener that does not
    /// [accept](super::Listener::accept), a client with a key waits for the time of the handshake.
    ///
    /// # Errors
    ///
    /// [`Io`](super::ErrorKind::Io) with the reason of the system, [`Address`](super::ErrorKind::Address) when no socket can have that
    /// address, and [`TimedOut`](super::ErrorKind::TimedOut). Where there is a key, also those of the handshake:
    /// [`Rejected`](super::ErrorKind::Rejected) when the listener has another one, [`WrongKey`](super::ErrorKind::WrongKey) when it
    /// accepts everything and cannot prove the key itself, [`WeakDigest`](super::ErrorKind::WeakDigest),
    /// [`NoKey`](super::ErrorKind::NoKey), [`Reflected`](super::ErrorKind::Reflected), [`Protocol`](super::ErrorKind::Protocol), [`TooLarge`](super::ErrorKind::TooLarge),
    /// [`Closed`](super::ErrorKind::Closed) and [`Truncated`](super::ErrorKind::Truncated).
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
