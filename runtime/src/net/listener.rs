//! The side that listens.

use super::{
    Address, Error, Options, Result, Stream,
    handshake::Side,
    listening::{Listening, SocketFile},
    opening::Opening,
    reception::Reception,
    socket::Socket,
};
use crate::{
    sys::{
        endpoint,
        fd::{AsFd, BorrowedFd, OwnedFd},
        wait,
    },
    wire::Fd,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    iter::FusedIterator,
    time::{Duration, Instant},
};

/// Waits for clients at an [`Address`]. The counterpart of Python's `Listener`.
///
/// Dropping it stops listening. Clients that are not accepted yet are turned away. Connections that
/// are accepted stay open. If the address is a path, the process that made it removes it, unless
/// another file is in its place. Copies of the process by `fork`, and processes that were given the
/// listener, do not remove it. A process that is killed leaves the path behind. Then no process can
/// listen there until the path is removed. An abstract name never stays behind.
///
/// Its [`AsFd`] is readable when a client has connected or, if there is a key, has sent a part of
/// its handshake. Then call [`accept_timeout`](Self::accept_timeout) with a timeout of zero.
///
/// A listener can be given to other processes, as an argument or in a message. Then all of them can
/// accept, and each client is accepted by one of them. A process that made a path must keep its
/// listener as long as the others use it, so give it to them by reference.
///
/// # Examples
///
/// ```
/// use procession::{AuthKey, net::{Client, Listener}};
/// use std::{net::Ipv4Addr, thread};
///
/// let key = AuthKey::new(b"known to both");
/// let listener = Listener::options().authkey(key.clone()).bind((Ipv4Addr::LOCALHOST, 0))?;
/// let address = listener.local_address().clone();
/// let client = thread::spawn(move || {
///     let mut stream = Client::options().authkey(key).connect(address)?;
///     stream.send_bytes(b"hello")
/// });
/// assert_eq!(listener.accept()?.recv_bytes()?, b"hello");
/// client.join().unwrap()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    address: Address,
    options: Options,
    reception: Reception,
    /// The socket file, if this process has to remove it.
    _file: Option<SocketFile>,
}

impl Listener {
    /// Listens at an address, without a key and with the defaults of [`Options`].
    ///
    /// With port 0 the system chooses a free port, which [`local_address`](Self::local_address)
    /// returns. A path is created with the permissions that the umask of the process leaves. It
    /// must not exist before.
    ///
    /// # Errors
    ///
    /// Fails with [`Io`](super::ErrorKind::Io) if the system refuses, for example because the
    /// address is in use. Fails with [`Address`](super::ErrorKind::Address) if no socket can have
    /// this address, for example because a path has more than 107 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Address, Listener};
    /// use std::net::Ipv4Addr;
    ///
    /// let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
    /// let Address::Tcp(address) = listener.local_address() else { unreachable!() };
    /// assert_ne!(address.port(), 0);
    ///
    /// let error = Listener::bind(*address).unwrap_err();
    /// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::AddrInUse);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn bind(address: impl Into<Address>) -> Result<Self> {
        Options::new().bind(address)
    }

    /// Returns [`Options`], to set a key and limits before [`bind`](Options::bind).
    ///
    /// # Examples
    ///
    /// See [`Listener`].
    pub fn options() -> Options {
        Options::new()
    }

    pub(super) fn new(address: &Address, options: Options, backlog: Option<u32>) -> Result<Self> {
        Error::check_support()?;
        let cannot = |source| Error::io(format!("cannot listen at {address}"), source);
        let (socket, file) = Listening::bind(address).map_err(cannot)?;
        // From here on, an error drops the listener, which removes the file.
        let mut listener = Self {
            socket,
            address: address.clone(),
            options,
            reception: Reception::default(),
            _file: file,
        };
        let set_up = listener.socket.set_nonblocking().and_then(|()| {
            if let Some(backlog) = backlog {
                endpoint::set_backlog(listener.socket.as_fd(), backlog)?;
            }
            if let Listening::Tcp(socket) = &listener.socket {
                listener.address = socket.local_addr()?.into();
            }
            Ok(())
        });
        set_up.map_err(cannot)?;
        Ok(listener)
    }

    /// Returns the address where it listens. If port 0 was requested, it has the port that the
    /// system has chosen.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    #[must_use]
    #[doc(alias = "address")]
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// Waits for a client and returns the connection to it. If there is a key, both sides have
    /// proven it. Blocks without limit.
    ///
    /// The handshakes of several clients progress at the same time, each within [its
    /// timeout](Options::handshake_timeout), and the first client that completes is returned. So no
    /// client has to wait for a slow or silent one. Handshakes that are not complete continue in
    /// the next call, in any thread. Up to 128 can be in progress. If there is one more, or the
    /// process has no descriptor left, the oldest client is turned away.
    ///
    /// As in Python, a client that fails its handshake is an error here. The error concerns only
    /// this client, and the listener stays usable. A server calls `accept` again, or uses
    /// [`incoming`](Self::incoming), which skips such clients.
    ///
    /// # Errors
    ///
    /// Fails with [`Io`](super::ErrorKind::Io) if the system refuses. If there is a key, also fails
    /// with the errors of the handshake, which have the address of the [peer](Error::peer):
    /// [`WrongKey`](super::ErrorKind::WrongKey), [`Rejected`](super::ErrorKind::Rejected),
    /// [`WeakDigest`](super::ErrorKind::WeakDigest), [`Reflected`](super::ErrorKind::Reflected),
    /// [`Protocol`](super::ErrorKind::Protocol), [`TooLarge`](super::ErrorKind::TooLarge),
    /// [`NoKey`](super::ErrorKind::NoKey), [`TooManyClients`](super::ErrorKind::TooManyClients),
    /// [`TimedOut`](super::ErrorKind::TimedOut), [`Closed`](super::ErrorKind::Closed) and
    /// [`Truncated`](super::ErrorKind::Truncated).
    ///
    /// # Examples
    ///
    /// See [`Listener`].
    pub fn accept(&self) -> Result<Stream> {
        loop {
            if let Some(stream) = self.accept_until(None)? {
                return Ok(stream);
            }
        }
    }

    /// Waits for a client, but no longer than `timeout`, and returns the connection to it. Returns
    /// `None` if no client completes its handshake before the timeout. A handshake that has begun
    /// continues in the next call.
    ///
    /// # Errors
    ///
    /// The same as [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Address, Listener};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("accept_timeout"))?;
    /// assert!(listener.accept_timeout(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Option<Stream>> {
        self.accept_until(wait::deadline(timeout))
    }

    /// Returns an iterator over connections to clients. It blocks until the next client, and never
    /// ends.
    ///
    /// A client that fails its handshake is turned away and skipped, so it cannot end the loop of a
    /// server. An item is an error only if the system refuses, for example because the process has
    /// no descriptor left. To see the clients that fail, call [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Address, Client, Listener};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("incoming"))?;
    /// let clients = [1, 2].map(|_| Client::connect(listener.local_address()));
    /// for (client, stream) in clients.into_iter().zip(listener.incoming()) {
    ///     stream?.send("welcome")?;
    ///     assert_eq!(client?.recv::<String>()?, "welcome");
    /// }
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    fn accept_until(&self, deadline: Option<Instant>) -> Result<Option<Stream>> {
        self.reception.accept(&self.socket, &self.options, deadline)
    }
}

impl Options {
    /// Listens at an address with these options: see [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// The same as [`Listener::bind`].
    ///
    /// # Examples
    ///
    /// See [`Options`].
    pub fn bind(&self, address: impl Into<Address>) -> Result<Listener> {
        Listener::new(&address.into(), self.clone(), self.connections())
    }

    /// Takes the role of the listener on a connected stream socket.
    ///
    /// # Errors
    ///
    /// Fails with [`Io`](super::ErrorKind::Io) if it is not a TCP or Unix stream socket. If there
    /// is a key, also fails with the errors of the handshake: see [`Listener::accept`].
    ///
    /// # Examples
    ///
    /// See [`connect_over`](Self::connect_over).
    pub fn accept_over(&self, socket: impl Into<OwnedFd>) -> Result<Stream> {
        Opening::complete(self, Socket::connected(socket.into())?, Side::Listener)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.options.key().is_none() {
            return self.socket.as_fd();
        }
        self.reception.readiness(&self.socket)
    }
}

crate::sys::raw::as_raw_fd!([] Listener);

/// An iterator over the connections to the clients of a [`Listener`]. [`Listener::incoming`]
/// returns it.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    listener: &'a Listener,
}

impl Iterator for Incoming<'_> {
    type Item = Result<Stream>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.listener.accept() {
                Err(error) if error.is_of_handshake() => {}
                accepted => return Some(accepted),
            }
        }
    }
}

impl FusedIterator for Incoming<'_> {}

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Fd(self.socket.as_fd()), &self.address, &self.options).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Fd(fd), address, options) =
            <(Fd<OwnedFd>, Address, Options)>::deserialize(deserializer)?;
        if !endpoint::is_stream(fd.as_fd()) {
            return Err(de::Error::custom(
                "the descriptor of a listener is no stream socket",
            ));
        }
        Ok(Self {
            socket: (fd, &address).into(),
            address,
            options,
            reception: Reception::default(),
            _file: None,
        })
    }
}
