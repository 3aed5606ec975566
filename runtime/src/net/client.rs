//! The side that connects.

use super::{
    Address, Error, Options, Result, Stream, address::Unix, handshake::Side, opening::Opening,
    socket::Socket,
};
use crate::sys::{endpoint, fd::OwnedFd, wait};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

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

impl Options {
    /// Connects to a listener with these options: see [`Client::connect`](super::Client::connect).
    ///
    /// # Errors
    ///
    /// The same as [`Client::connect`](super::Client::connect).
    ///
    /// # Examples
    ///
    /// See [`Options`].
    pub fn connect(&self, address: impl Into<Address>) -> Result<Stream> {
        Error::check_support()?;
        let address = address.into();
        let connected = match &address {
            Address::Tcp(address) => self.connect_tcp(address).map(Socket::Tcp),
            Address::Unix(path) => self.connect_unix(&Unix::Path(path)).map(Socket::Unix),
            Address::Abstract(name) => self.connect_unix(&Unix::Abstract(name)).map(Socket::Unix),
        };
        let socket = connected
            .map_err(|source| Error::io(format!("cannot connect to {address}"), source))?;
        Opening::complete(self, socket, Side::Client)
    }

    /// Takes the role of the client on a connected stream socket, for example one end of a socket
    /// pair, or a socket from a service manager.
    ///
    /// # Errors
    ///
    /// Fails with [`Io`](super::ErrorKind::Io) if it is not a TCP or Unix stream socket. If there
    /// is a key, also fails with the errors of the handshake: see
    /// [`Client::connect`](super::Client::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{AuthKey, net::Options};
    /// use std::{os::unix::net::UnixStream, thread};
    ///
    /// let options = Options::new().authkey(AuthKey::random()?);
    /// let (here, there) = UnixStream::pair()?;
    /// let (client, server) = thread::scope(|scope| {
    ///     let client = scope.spawn(|| options.connect_over(here));
    ///     let server = options.accept_over(there);
    ///     (client.join().unwrap(), server)
    /// });
    /// client?.send_bytes(b"over the pair")?;
    /// assert_eq!(server?.recv_bytes()?, b"over the pair");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn connect_over(&self, socket: impl Into<OwnedFd>) -> Result<Stream> {
        Opening::complete(self, Socket::connected(socket.into())?, Side::Client)
    }

    fn connect_tcp(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        // std's `connect_timeout` fails with a timeout of zero, and has no value for no timeout.
        let timeout = self.time_to_connect().max(Duration::from_nanos(1));
        if wait::deadline(timeout).is_none() {
            return TcpStream::connect(address);
        }
        TcpStream::connect_timeout(address, timeout)
    }

    fn connect_unix(&self, address: &Unix<'_>) -> io::Result<UnixStream> {
        endpoint::connect_unix(&address.to_std()?, wait::deadline(self.time_to_connect()))
    }
}
