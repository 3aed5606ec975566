//! Errors of listeners and connections.

use super::Address;
use crate::{error, sys};
use std::{borrow::Cow, error::Error as StdError, fmt, io};

/// The result of operations on listeners and connections.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of a listener, a connection or a message.
///
/// [`Display`](fmt::Display) says what failed and, after a failed handshake, with which peer.
/// [`source`](StdError::source) is the cause, most often an [`io::Error`] with the errno. The error
/// converts into [`procession::Error`](crate::Error) and into [`io::Error`].
///
/// # Examples
///
/// ```
/// use procession::net::{Address, Client, ErrorKind};
///
/// let nobody = Address::from_abstract_name("nobody listens here");
/// let error = Client::connect(&nobody).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Io);
/// assert_eq!(error.to_string(), "cannot connect to @nobody listens here");
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionRefused);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    in_handshake: bool,
    peer: Option<Address>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer could not prove that it knows the key: it has another key.
    #[doc(alias = "AuthenticationError")]
    WrongKey,
    /// The peer did not accept this side's proof that it knows the key: this side has another key.
    #[doc(alias = "AuthenticationError")]
    Rejected,
    /// The peer gives a proof by MD5, or asks for one, and MD5 is not
    /// [allowed](super::Options::allow_md5). Python 3.11 and earlier use MD5.
    WeakDigest,
    /// The peer sent a challenge that this side, or a client with the same key, has made. It tried
    /// to get the answer to it.
    Reflected,
    /// The peer seems to have no key, but this side has one: the first message of the peer is not
    /// part of a handshake.
    ///
    /// A peer without a key that only waits for messages cannot be recognized. Then the handshake
    /// ends with [`TimedOut`](Self::TimedOut) or [`Closed`](Self::Closed).
    NoKey,
    /// The listener turned the client away during its handshake, to make room for others: more than
    /// 128 clients were in their handshakes, or no descriptor was left.
    TooManyClients,
    /// The peer violated the protocol.
    Protocol,
    /// The peer announced a message that is longer than [allowed](super::Options::max_message).
    TooLarge,
    /// The peer did not do its part before the timeout.
    TimedOut,
    /// The peer has closed the connection between two messages. Or nothing more can be sent,
    /// because this side cut short an earlier message.
    #[doc(alias = "EOFError")]
    Closed,
    /// The connection has ended in the middle of a message.
    Truncated,
    /// The message is longer than the buffer. It is not lost, and can still be received.
    BufferTooShort,
    /// A value could not be encoded, or the connection cannot carry the descriptors in it.
    Encode,
    /// A message arrived that is not a value of the requested type.
    Decode,
    /// The text is not an address, or no socket can have this address.
    Address,
    /// This crate does not support the operating system: see the [limits](crate#limits).
    Unsupported,
    /// The operating system refused. The source is an [`io::Error`].
    Io,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            in_handshake: false,
            peer: None,
            source: None,
        }))
    }

    /// Makes the error of a system call. A timeout and an invalid address have kinds of their own.
    pub(super) fn io(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match source.kind() {
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            io::ErrorKind::InvalidInput => ErrorKind::Address,
            _ => ErrorKind::Io,
        };
        Self::new(kind, what).because(source)
    }

    /// Fails if there are no connections on this system.
    pub(super) fn check_support() -> Result<()> {
        if sys::IS_SUPPORTED {
            return Ok(());
        }
        let what = "connections can be made on Linux on x86-64 and aarch64 only";
        Err(Self::new(ErrorKind::Unsupported, what))
    }

    pub(super) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Records that this error has ended a handshake, and with which peer.
    pub(super) fn in_handshake(mut self, peer: Option<&Address>) -> Self {
        self.0.in_handshake = true;
        self.0.peer = peer.cloned();
        self
    }

    /// Whether it has ended a handshake. Then it concerns one peer, not the listener.
    pub(super) fn is_of_handshake(&self) -> bool {
        self.0.in_handshake
    }

    /// Returns the kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the address of the peer whose handshake failed, if it has one.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{AuthKey, net::{Address, Client, ErrorKind, Listener}};
    /// use std::{net::Ipv4Addr, thread};
    ///
    /// let options = Listener::options().authkey(AuthKey::random()?);
    /// let listener = options.bind((Ipv4Addr::LOCALHOST, 0))?;
    /// let address = listener.local_address().clone();
    /// let other = Client::options().authkey(AuthKey::random()?);
    /// let client = thread::spawn(move || other.connect(address));
    ///
    /// let error = listener.accept().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WrongKey);
    /// assert!(matches!(error.peer(), Some(Address::Tcp(peer)) if peer.ip().is_loopback()));
    /// assert_eq!(client.join().unwrap().unwrap_err().kind(), ErrorKind::Rejected);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[must_use]
    pub fn peer(&self) -> Option<&Address> {
        self.0.peer.as_ref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &format_args!("{self}"))
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.peer {
            Some(peer) => write!(f, "the handshake with {peer} failed: ")?,
            None if self.0.in_handshake => f.write_str("the handshake failed: ")?,
            None => {}
        }
        f.write_str(&self.0.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for error::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Unsupported => error::ErrorKind::Unsupported,
            _ => error::ErrorKind::Connection,
        };
        Self::whole(kind, error)
    }
}

impl From<Error> for io::Error {
    /// Keeps the whole error. Its [`io::ErrorKind`] is that of the system's error, or the nearest
    /// kind.
    fn from(error: Error) -> Self {
        let source = error.0.source.as_ref();
        let below = source.and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match error.kind() {
            ErrorKind::WrongKey
            | ErrorKind::Rejected
            | ErrorKind::WeakDigest
            | ErrorKind::NoKey
            | ErrorKind::Reflected => io::ErrorKind::PermissionDenied,
            ErrorKind::TooManyClients => io::ErrorKind::ConnectionAborted,
            ErrorKind::Protocol | ErrorKind::TooLarge | ErrorKind::Decode => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Closed | ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::BufferTooShort | ErrorKind::Encode | ErrorKind::Address => {
                io::ErrorKind::InvalidInput
            }
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Io => below.map_or(io::ErrorKind::Other, io::Error::kind),
        };
        Self::new(kind, error)
    }
}
