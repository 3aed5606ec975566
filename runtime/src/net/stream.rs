//! Connections, which send and receive messages.

use super::{Address, Error, ErrorKind, Result, framed::Framed, socket::Socket};
use crate::{
    sys::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        socket::MAX_FDS,
        wait,
    },
    wire::{Fd, Lend, Outgoing, Source, Transfer, flat_length, flatten, unflatten},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

/// A connection to a peer, which sends and receives messages. The counterpart of Python's
/// `Connection`.
///
/// [`Listener::accept`](super::Listener::accept) and [`Client::connect`](super::Client::connect)
/// return one. Messages stay whole. There are two sorts of them:
///
/// - [`send_bytes`](Self::send_bytes) and [`recv_bytes`](Self::recv_bytes) exchange bytes with any
///   peer, for example with Python's methods of the same names.
/// - [`send`](Self::send) and [`recv`](Self::recv) exchange values with a peer that uses the same
///   version of this crate. The type of a value must be [`Transfer`]. If both sides are on one
///   machine, a value can hold files and sockets, wrapped in [`Fd`].
///
/// If a part of a message has arrived, the connection keeps it until the rest arrives: no timeout
/// and no [`poll`](Self::poll) loses data. The connection never reads past the current message, so
/// its [`AsFd`] can be polled together with other descriptors. The descriptor is readable when
/// there is something to receive, which may be only a part of a message.
///
/// Dropping it closes the connection. The peer can still receive what was sent before. A connection
/// can be given to another process, as an argument or in a message. Then both processes have it
/// until they drop it, and only one of them may continue to use it.
///
/// # Examples
///
/// ```
/// use procession::net::{Address, Client, Listener};
/// use std::{net::Ipv4Addr, thread};
///
/// let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
/// let address = listener.local_address().clone();
/// let doubling = thread::spawn(move || {
///     let mut stream = listener.accept()?;
///     let number: u32 = stream.recv()?;
///     stream.send(&(2 * number))
/// });
///
/// let mut stream = Client::connect(address)?;
/// stream.send(&21)?;
/// assert_eq!(stream.recv::<u32>()?, 42);
/// doubling.join().unwrap()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "Connection")]
pub struct Stream {
    framed: Framed,
    peer: Option<Address>,
}

impl Stream {
    /// Makes a connection from a socket, after the handshake.
    pub(super) fn new(mut framed: Framed, peer: Option<Address>, max_message: usize) -> Self {
        framed.trust(max_message);
        Self { framed, peer }
    }

    /// Returns the address of the peer, if it has one. A client of a Unix socket usually has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Address, Client, Listener};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("peer_address"))?;
    /// let client = Client::connect(listener.local_address())?;
    /// assert_eq!(client.peer_address(), Some(listener.local_address()));
    /// assert_eq!(listener.accept()?.peer_address(), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[must_use]
    #[doc(alias = "last_accepted")]
    pub fn peer_address(&self) -> Option<&Address> {
        self.peer.as_ref()
    }

    /// Sends a message of bytes. Blocks while the peer has no room for it.
    ///
    /// # Errors
    ///
    /// Fails with [`Closed`](ErrorKind::Closed) if the peer has closed the connection, or if an
    /// earlier message was cut short. A send may succeed although the peer has closed the
    /// connection, and only a later one fails. Fails with [`Io`](ErrorKind::Io) if the system
    /// refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address, ErrorKind};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("send_bytes"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// let mut server = listener.accept()?;
    /// client.send_bytes(b"first")?;
    /// client.send_bytes(b"")?;
    /// drop(client);
    /// assert_eq!(server.recv_bytes()?, b"first");
    /// assert_eq!(server.recv_bytes()?, b"");
    /// assert_eq!(server.recv_bytes().unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.framed.send(bytes, &[], None)
    }

    /// Sends a message of bytes. Blocks while the peer has no room for it, but no longer than
    /// `timeout`.
    ///
    /// A message that is cut short by the timeout cannot be taken back. The peer is told that the
    /// connection ends in the middle of it, and nothing more can be sent. Receiving is still
    /// possible.
    ///
    /// # Errors
    ///
    /// Fails with [`TimedOut`](ErrorKind::TimedOut) if the peer has no room before the timeout. The
    /// other errors are those of [`send_bytes`](Self::send_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address, ErrorKind};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("send_bytes_timeout"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// let mut server = listener.accept()?;
    /// let soon = Duration::from_millis(1);
    /// let error = client.send_bytes_timeout(&[0; 10_000_000], soon).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// assert_eq!(server.recv_bytes().unwrap_err().kind(), ErrorKind::Truncated);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<()> {
        self.framed.send(bytes, &[], wait::deadline(timeout))
    }

    /// Receives a message of bytes. Blocks until a whole message has arrived.
    ///
    /// Descriptors that arrive with it are closed.
    ///
    /// # Errors
    ///
    /// - [`Closed`](ErrorKind::Closed) if the peer has closed the connection between two messages.
    /// - [`Truncated`](ErrorKind::Truncated) if the connection has ended in the middle of a
    ///   message.
    /// - [`TooLarge`](ErrorKind::TooLarge) if the peer announced a message that is longer than
    ///   [allowed](super::Options::max_message).
    /// - [`Protocol`](ErrorKind::Protocol) if the peer violated the protocol.
    /// - [`Io`](ErrorKind::Io) if the system refuses.
    ///
    /// After any of these errors nothing more can be received: each later call fails with the same
    /// error.
    ///
    /// # Examples
    ///
    /// See [`send_bytes`](Self::send_bytes).
    pub fn recv_bytes(&mut self) -> Result<Vec<u8>> {
        self.framed.fill(None)?;
        Ok(self.framed.take().0)
    }

    /// Receives a message of bytes. Blocks until a whole message has arrived, but no longer than
    /// `timeout`. Returns `None` if no whole message arrives before the timeout.
    ///
    /// # Errors
    ///
    /// The same as [`recv_bytes`](Self::recv_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("recv_bytes_timeout"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// assert_eq!(client.recv_bytes_timeout(Duration::from_millis(1))?, None);
    /// listener.accept()?.send_bytes(b"late")?;
    /// assert_eq!(client.recv_bytes_timeout(Duration::MAX)?.as_deref(), Some(&b"late"[..]));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        let whole = self.framed.fill(wait::deadline(timeout))?;
        Ok(whole.then(|| self.framed.take().0))
    }

    /// Receives a message of bytes into the front of a buffer, and returns the length of the
    /// message. Blocks until a whole message has arrived.
    ///
    /// The connection keeps up to 1 MiB of its own buffer for the next message.
    ///
    /// # Errors
    ///
    /// Fails with [`BufferTooShort`](ErrorKind::BufferTooShort) if the message is longer than the
    /// buffer. The message is not lost, and can still be received. The other errors are those of
    /// [`recv_bytes`](Self::recv_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address, ErrorKind};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("recv_bytes_into"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// listener.accept()?.send_bytes(b"four")?;
    /// let error = client.recv_bytes_into(&mut [0; 3]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::BufferTooShort);
    /// let mut buffer = [0; 5];
    /// assert_eq!(client.recv_bytes_into(&mut buffer)?, 4);
    /// assert_eq!(&buffer, b"four\0");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.framed.fill(None)?;
        let message = self.framed.body();
        let Some(front) = buffer.get_mut(..message.len()) else {
            let what = format!(
                "a message of {} bytes does not fit into a buffer of {}",
                message.len(),
                buffer.len()
            );
            return Err(Error::new(ErrorKind::BufferTooShort, what));
        };
        front.copy_from_slice(message);
        let length = message.len();
        self.framed.discard();
        Ok(length)
    }

    /// Waits until a message can be received without blocking, but no longer than `timeout`.
    /// Returns whether this is so. Also returns true if receiving would fail at once, for example
    /// at the end of the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("poll"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// assert!(!client.poll(Duration::ZERO));
    /// listener.accept()?.send_bytes(b"here")?;
    /// assert!(client.poll(Duration::from_secs(10)));
    /// assert_eq!(client.recv_bytes()?, b"here");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn poll(&mut self, timeout: Duration) -> bool {
        self.framed.fill(wait::deadline(timeout)).unwrap_or(true)
    }

    /// Sends a value whose type is [`Transfer`]. Blocks while the peer has no room for it.
    ///
    /// A `str`, a slice and a `Path` arrive as the type that owns them, for example `String`.
    ///
    /// Files and sockets, wrapped in [`Fd`], can be sent only over a Unix socket, and at most 253
    /// in one message.
    ///
    /// # Errors
    ///
    /// Fails with [`Encode`](ErrorKind::Encode) if the value cannot be encoded, or the connection
    /// cannot carry the descriptors in it. The other errors are those of
    /// [`send_bytes`](Self::send_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Fd, net::{Address, Client, Listener}};
    /// use std::{fs::File, io::{self, Read, Write}};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("send"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// let mut server = listener.accept()?;
    ///
    /// client.send("a text")?;
    /// client.send(&[1.5, 2.5][..])?;
    /// assert_eq!(server.recv::<String>()?, "a text");
    /// assert_eq!(server.recv::<Vec<f64>>()?, [1.5, 2.5]);
    ///
    /// let (mut reader, writer) = io::pipe()?;
    /// client.send(&Fd(writer))?;
    /// server.recv::<Fd<File>>()?.write_all(b"through the pipe")?;
    /// assert_eq!(io::read_to_string(&mut reader)?, "through the pipe");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send<T: Lend + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.send_value(value, None)
    }

    /// Sends a value. Blocks while the peer has no room for it, but no longer than `timeout`.
    ///
    /// A message that is cut short by the timeout has the same effect as in
    /// [`send_bytes_timeout`](Self::send_bytes_timeout).
    ///
    /// # Errors
    ///
    /// Fails with [`TimedOut`](ErrorKind::TimedOut) if the peer has no room before the timeout. The
    /// other errors are those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("send_timeout"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// client.send_timeout(&('x', 1), Duration::from_secs(10))?;
    /// assert_eq!(listener.accept()?.recv::<(char, u8)>()?, ('x', 1));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send_timeout<T: Lend + ?Sized>(&mut self, value: &T, timeout: Duration) -> Result<()> {
        self.send_value(value, wait::deadline(timeout))
    }

    /// Receives a value that was sent with [`send`](Self::send). Blocks until a whole value has
    /// arrived.
    ///
    /// # Errors
    ///
    /// Fails with [`Decode`](ErrorKind::Decode) if the message is not a value of this type. That
    /// message is lost, and the next one can be received. The other errors are those of
    /// [`recv_bytes`](Self::recv_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address, ErrorKind};
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("recv"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// let mut server = listener.accept()?;
    /// server.send("no number")?;
    /// server.send(&7)?;
    /// assert_eq!(client.recv::<u32>().unwrap_err().kind(), ErrorKind::Decode);
    /// let number: u32 = client.recv()?;
    /// assert_eq!(number, 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv<T: Transfer>(&mut self) -> Result<T> {
        self.framed.fill(None)?;
        self.take_value()
    }

    /// Receives a value. Blocks until a whole value has arrived, but no longer than `timeout`.
    /// Returns `None` if no whole value arrives before the timeout.
    ///
    /// # Errors
    ///
    /// The same as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::net::{Client, Listener, Address};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::from_abstract_name("recv_timeout"))?;
    /// let mut client = Client::connect(listener.local_address())?;
    /// assert_eq!(client.recv_timeout::<u8>(Duration::ZERO)?, None);
    /// listener.accept()?.send(&5_u8)?;
    /// assert_eq!(client.recv_timeout::<u8>(Duration::from_secs(10))?, Some(5));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_timeout<T: Transfer>(&mut self, timeout: Duration) -> Result<Option<T>> {
        let whole = self.framed.fill(wait::deadline(timeout))?;
        whole.then(|| self.take_value()).transpose()
    }

    fn send_value<T: Lend + ?Sized>(&mut self, value: &T, deadline: Option<Instant>) -> Result<()> {
        let mut message = Outgoing::default();
        value.__send("the message", &mut message).map_err(|error| {
            Error::new(ErrorKind::Encode, "the message cannot be encoded").because(error)
        })?;
        let count = message.fds.len();
        let refusal = if count > 0 && !self.framed.socket().carries_descriptors() {
            Some("a descriptor can be sent over a Unix socket only")
        } else if count > MAX_FDS {
            Some("a message can have no more than 253 descriptors")
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Err(Error::new(ErrorKind::Encode, refusal));
        }
        let mut bytes = Vec::with_capacity(flat_length(&message));
        flatten(&message, &mut bytes).map_err(|source| {
            Error::new(ErrorKind::Encode, "the message cannot be put together").because(source)
        })?;
        self.framed.send(&bytes, &message.fds, deadline)
    }

    fn take_value<T: Transfer>(&mut self) -> Result<T> {
        let (bytes, fds) = self.framed.take();
        let no_value = || {
            let what = format!(
                "the message is no value of type `{}`",
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Decode, what)
        };
        let mut message = unflatten(Source::Bytes(&Cell::new(&bytes)), fds)
            .map_err(|source| no_value().because(source))?;
        let value = message
            .take::<T>()
            .and_then(|value| message.ready().map(|()| value));
        value.map_err(|error| no_value().because(error))
    }
}

impl fmt::Debug for Stream {
    /// Shows the socket and the peer, but no received data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("socket", self.framed.socket())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.framed.socket().as_fd()
    }
}

crate::sys::raw::as_raw_fd!([] Stream);

impl Serialize for Stream {
    /// Fails if a part of a message has been received, because that part would be lost.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.framed.is_amid_receiving() {
            return Err(ser::Error::custom(
                "a connection cannot be sent on in the middle of a message, or after its end",
            ));
        }
        let parcel = (Fd(self.as_fd()), self.framed.limit(), self.framed.is_cut());
        parcel.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Fd(fd), max_message, cut) = <(Fd<OwnedFd>, _, _)>::deserialize(deserializer)?;
        let socket = Socket::try_from(fd).map_err(de::Error::custom)?;
        let peer = socket.peer_address();
        let mut framed = Framed::new(socket, max_message);
        if cut {
            framed.cut();
        }
        Ok(Self::new(framed, peer, max_message))
    }
}
