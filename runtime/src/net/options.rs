//! What a listener or a client is told before it begins.

use super::{
    Address, Error, ErrorKind, Listener, Result, Stream, address::Unix, handshake::Side,
    opening::Opening, socket::Socket,
};
use crate::{
    start::AuthKey,
    sys::{endpoint, wait},
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

/// Settings for listeners and clients, as [`std::fs::OpenOptions`] has them for files. They can be used again and again.
///
/// # Examples
///
/// ```
/// use procession::{authkey, net::{Address, ErrorKind, Options}, process};
///
/// #[process]
/// fn client(address: &Address) -> String {
///     // A child has the key of its parent.
///     let options = Options::new().authkey(authkey().unwrap());
///     options.connect(address).unwrap().recv().unwrap()
/// }
///
/// let options = Options::new().authkey(authkey()?).max_message(1 << 20);
/// let listener = options.bind(Address::from_abstract_name("Options"))?;
/// let child = client::spawn(listener.local_address())?;
/// listener.accept()?.send("one of us")?;
/// assert_eq!(child.join()?, "one of us");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[must_use = "options do nothing until they are used to `bind` or to `connect`"]
pub struct Options {
    authkey: Option<AuthKey>,
    allow_md5: bool,
    backlog: Option<u32>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    max_message: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authkey: None,
            allow_md5: false,
            backlog: None,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_message: 64 << 20,
        }
    }
}

impl Options {
    /// Returns options that have the defaults which are described at each.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key that each side has to prove to the other that it knows. By default nothing is to be proven, and whoever gets through to
    /// the address is served.
    ///
    /// The key itself does not travel. What is sent afterwards is neither encrypted nor protected from who sits between the two, so
    /// over a network that others use, this needs a tunnel. Nor does it help against somebody in between who passes the
    /// handshake on, and then talks in the place of either.
    pub fn authkey(mut self, key: AuthKey) -> Self {
        self.authkey = Some(key);
        self
    }

    /// Allows that the key is proven by HMAC-MD5, or not, which is the default: then SHA-256 is asked for, and SHA-384 and SHA-3
    /// are accepted.
    ///
    /// Python 3.11 and earlier know nothing else. Python 3.12 and later, and this crate, prove it to each other by SHA-256 even where
    /// MD5 is allowed, unless somebody in between prevents that.
    pub fn allow_md5(mut self, allow: bool) -> Self {
        self.allow_md5 = allow;
        self
    }

    /// Sets how many connections may wait to be accepted. By default it is what std uses; the kernel has a limit of its own,
    /// `net.core.somaxconn`.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Sets how long connecting may take, the handshake not included: 10 seconds by default. With [`Duration::MAX`] it takes
    /// as long as the system tries.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the handshake may take as a whole, however the peer divides it: 10 seconds by default. [`Duration::MAX`] is
    /// for ever. A listener goes on with the handshakes of its clients, beside one another, while somebody accepts.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets how many bytes a message that is received may have: 64 MiB by default.
    ///
    /// Memory is taken as bytes arrive, and not as they are announced. Before the key is proven, 256 bytes are the limit.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Listens at an address with these options; see [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    ///
    /// # Examples
    ///
    /// See [`Options`].
    pub fn bind(&self, address: impl Into<Address>) -> Result<Listener> {
        Listener::new(&address.into(), self.clone(), self.backlog)
    }

    /// Connects to a listener with these options; see [`Client::connect`](super::Client::connect).
    ///
    /// # Errors
    ///
    /// As [`Client::connect`](super::Client::connect).
    ///
    /// # Examples
    ///
    /// See [`Options`].
    pub fn connect(&self, address: impl Into<Address>) -> Result<Stream> {
        let address = address.into();
        let connected = match &address {
            Address::Tcp(address) => self.connect_tcp(address).map(Socket::Tcp),
            Address::Unix(path) => self.connect_unix(&Unix::Path(path)).map(Socket::Unix),
            Address::Abstract(name) => self.connect_unix(&Unix::Abstract(name)).map(Socket::Unix),
        };
        let socket = connected
            .map_err(|source| Error::io(format!("cannot connect to {address}"), source))?;
        self.open(socket, Side::Client)
    }

    /// Takes the part of the client over a stream socket that is connected already: one end of a pair, or what a service manager has
    /// passed on.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when it is no stream socket of TCP or Unix. Where there is a key, those of the handshake, as
    /// [`Client::connect`](super::Client::connect) has them.
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
        self.open(connected(socket.into())?, Side::Client)
    }

    /// Takes the part of the listener over a stream socket that is connected already.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when it is no stream socket of TCP or Unix. Where there is a key, those of the handshake, as
    /// [`Listener::accept`] has them.
    ///
    /// # Examples
    ///
    /// See [`connect_over`](Self::connect_over).
    pub fn accept_over(&self, socket: impl Into<OwnedFd>) -> Result<Stream> {
        self.open(connected(socket.into())?, Side::Listener)
    }

    fn connect_tcp(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        // No time at all is an error there, and for ever more than the clock can count.
        let timeout = self.connect_timeout.max(Duration::from_nanos(1));
        if wait::deadline(timeout).is_none() {
            return TcpStream::connect(address);
        }
        TcpStream::connect_timeout(address, timeout)
    }

    fn connect_unix(&self, address: &Unix<'_>) -> io::Result<UnixStream> {
        endpoint::connect_unix(&address.to_std()?, wait::deadline(self.connect_timeout))
    }

    /// Makes a connection of a socket: both sides prove the key, if there is one.
    fn open(&self, socket: Socket, side: Side) -> Result<Stream> {
        let mut opening = Opening::begin(self, socket, side)?;
        // It is an error where that is not complete by then.
        while !opening.advance(opening.deadline())? {}
        Ok(opening.finish())
    }

    pub(super) fn key(&self) -> Option<&AuthKey> {
        self.authkey.as_ref()
    }

    pub(super) fn allows_md5(&self) -> bool {
        self.allow_md5
    }

    pub(super) fn time_of_handshake(&self) -> Duration {
        self.handshake_timeout
    }

    pub(super) fn longest_message(&self) -> usize {
        self.max_message
    }
}

fn connected(fd: OwnedFd) -> Result<Socket> {
    let socket = if endpoint::is_stream(fd.as_fd()) {
        Socket::try_from(fd)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    };
    socket.map_err(|source| {
        Error::new(
            ErrorKind::Io,
            "the descriptor is no stream socket of TCP or Unix",
        )
        .because(source)
    })
}
