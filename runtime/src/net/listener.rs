//! The side that is connected to.

use super::{
    Address, Error, Options, Result, Stream, address::Unix, reception::Reception, socket::Socket,
};
use crate::{
    sys::{endpoint, wait},
    wire::Fd,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fs, io,
    iter::FusedIterator,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{fs::MetadataExt, net::UnixListener},
    },
    path::{self, Path, PathBuf},
    process,
    time::{Duration, Instant},
};

/// Waits for clients at an [`Address`]: Python's `Listener`, and its peer.
///
/// Dropping it ends that. Clients that have not been accepted are turned away, and those that have are not concerned. A path is removed
/// by the process that made it, unless somebody else has put something in its place; copies of the process by `fork`, and processes
/// that were given the listener, leave it alone. A process that is killed leaves the path behind, at which nobody can listen
/// then until it is removed; an abstract name never stays.
///
/// Its [`AsFd`] is readable when a client has come or, where there is a key, has sent a part of its handshake: then
/// [`accept_timeout`](Self::accept_timeout) with no time at all gets on. It can be given to other processes, as an argument
/// or in a message: then all of them accept, each client being one's. Who has made a path keeps the listener for as long, and
/// therefore gives it by reference.
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
    /// What the address has left in the file system, if this process is the one to remove it.
    _file: Option<SocketFile>,
}

impl Listener {
    /// Listens at an address, without a key and with the other defaults of [`Options`].
    ///
    /// Port 0 stands for one that is free, which [`local_address`](Self::local_address) tells. A path is created, with the
    /// permissions that the process's umask leaves, and must not exist.
    ///
    /// # Errors
    ///
    /// [`Io`](super::ErrorKind::Io) with the reason of the system, such as an address that is in use, and
    /// [`Address`](super::ErrorKind::Address) when no socket can have that address: a path of more than 107 bytes, for one.
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
        let cannot = |source| Error::io(format!("cannot listen at {address}"), source);
        let (socket, file) = Listening::bind(address).map_err(cannot)?;
        // From here on, an error removes the file as well.
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

    /// Returns the address that it listens at: the one that was asked for, with the port that was found where that was 0.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    #[must_use]
    #[doc(alias = "address")]
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// Waits for a client, as long as it takes, and returns the connection to it, once both sides have proven the key, if there is
    /// one.
    ///
    /// The handshakes of several clients go on beside one another, each within [its time](Options::handshake_timeout), and the first
    /// that is over is returned: none has to wait for a client that is slow or says nothing. Those that are not over go on at the next
    /// call, by any thread. There can be 128 at once; one more, or a lack of descriptors, turns the oldest away.
    ///
    /// As in Python, a client that fails its handshake is an error here. It concerns this client alone, and the listener goes on:
    /// a server calls `accept` again, or uses [`incoming`](Self::incoming), which leaves such clients out.
    ///
    /// # Errors
    ///
    /// [`Io`](super::ErrorKind::Io) with the reason of the system. Where there is a key, also those of the handshake, which know the
    /// [peer](Error::peer): [`WrongKey`](super::ErrorKind::WrongKey), [`Rejected`](super::ErrorKind::Rejected),
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

    /// Waits for a client no longer than `timeout`, and returns the connection to it, or nothing if none has completed its handshake
    /// by then. A handshake that has begun goes on at the next call.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
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

    /// Returns an iterator over connections to clients, which never ends.
    ///
    /// A client that fails its handshake is turned away and left out, so that no stranger ends a server's loop. An error is one of
    /// the system's: that this process has no more descriptors, for one. To learn of such clients, call [`accept`](Self::accept).
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

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.options.key().is_none() {
            return self.socket.as_fd();
        }
        self.reception.readiness(&self.socket)
    }
}

/// The connections to the clients of a [`Listener`], as they come: see [`Listener::incoming`].
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

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    fn bind(address: &Address) -> io::Result<(Self, Option<SocketFile>)> {
        let unix = |address: Unix<'_>| UnixListener::bind_addr(&address.to_std()?).map(Self::Unix);
        match address {
            Address::Tcp(address) => Ok((Self::Tcp(TcpListener::bind(address)?), None)),
            Address::Abstract(name) => Ok((unix(Unix::Abstract(name))?, None)),
            Address::Unix(path) => {
                let socket = unix(Unix::Path(path))?;
                Ok((socket, Some(SocketFile::new(path)?)))
            }
        }
    }

    /// Has accepting not wait: whom another thread or process has taken in between is not to be waited for.
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    pub(super) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(socket) => socket.accept().map(|(socket, _)| Socket::Tcp(socket)),
            Self::Unix(socket) => socket.accept().map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl From<(OwnedFd, &Address)> for Listening {
    fn from((fd, address): (OwnedFd, &Address)) -> Self {
        match address {
            Address::Tcp(_) => Self::Tcp(fd.into()),
            Address::Unix(_) | Address::Abstract(_) => Self::Unix(fd.into()),
        }
    }
}

/// A socket in the file system, which its creator removes when this is dropped.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: the path may come to lead elsewhere.
    identity: (u64, u64),
    creator: u32,
}

impl SocketFile {
    /// The file at a path where this process has just made a socket.
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            identity: identity(path)?,
            // The working directory may be another by then.
            path: path::absolute(path)?,
            creator: process::id(),
        })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = || identity(&self.path).is_ok_and(|found| found == self.identity);
        if process::id() == self.creator && is_own() {
            // Nobody is left to be told that it cannot be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How a listener travels to another process.
#[derive(Serialize, Deserialize)]
struct Parcel<T, A, O> {
    socket: T,
    address: A,
    options: O,
}

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parcel = Parcel {
            socket: Fd(self.socket.as_fd()),
            address: &self.address,
            options: &self.options,
        };
        parcel.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parcel = Parcel::<Fd<OwnedFd>, Address, Options>::deserialize(deserializer)?;
        let fd = parcel.socket.into_inner();
        if !endpoint::is_stream(fd.as_fd()) {
            return Err(de::Error::custom(
                "the descriptor of a listener is no stream socket",
            ));
        }
        Ok(Self {
            socket: (fd, &parcel.address).into(),
            address: parcel.address,
            options: parcel.options,
            reception: Reception::default(),
            _file: None,
        })
    }
}
