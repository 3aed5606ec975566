//! Errors of sending and receiving.

use crate::error::{Error, ErrorKind};
use std::{error, fmt, io};

/// Error of [`Sender::send`](super::Sender::send) and
/// [`Connection::send`](super::Connection::send). It returns the message.
///
/// It converts into [`Error`] and [`io::Error`], so `?` works with all errors of this module. The
/// conversion drops the message.
///
/// # Examples
///
/// ```
/// use procession::channel::SendError;
///
/// let error = SendError::Disconnected("a message");
/// assert_eq!(error.to_string(), "the other side is gone");
/// assert_eq!(error.into_inner(), "a message");
/// ```
pub enum SendError<T> {
    /// No receiver is left.
    Disconnected(T),
    /// The message could not be encoded, or the system refused to send it.
    Failed(T, Error),
}

/// Error of [`Sender::try_send`](super::Sender::try_send). It returns the message.
///
/// # Examples
///
/// ```
/// use procession::channel::TrySendError;
///
/// let error = TrySendError::Full("a message");
/// assert_eq!(error.to_string(), "there is no room for it now");
/// assert_eq!(error.into_inner(), "a message");
/// ```
pub enum TrySendError<T> {
    /// The queue has no room for the message now.
    Full(T),
    /// No receiver is left.
    Disconnected(T),
    /// The message could not be encoded, or the system refused to send it.
    Failed(T, Error),
}

/// Error of [`Sender::send_timeout`](super::Sender::send_timeout). It returns the message.
///
/// # Examples
///
/// ```
/// use procession::channel::SendTimeoutError;
///
/// let error = SendTimeoutError::Timeout("a message");
/// assert_eq!(error.to_string(), "there was no room for it in all of the time");
/// assert_eq!(error.into_inner(), "a message");
/// ```
pub enum SendTimeoutError<T> {
    /// The queue had no room for the message before the timeout.
    Timeout(T),
    /// No receiver is left.
    Disconnected(T),
    /// The message could not be encoded, or the system refused to send it.
    Failed(T, Error),
}

/// Error of [`Receiver::recv`](super::Receiver::recv) and
/// [`Connection::recv`](super::Connection::recv).
///
/// # Examples
///
/// ```
/// use procession::{ErrorKind, channel::RecvError};
///
/// let error = RecvError::Disconnected;
/// assert_eq!(error.to_string(), "the other side is gone");
/// assert_eq!(procession::Error::from(error).kind(), ErrorKind::Disconnected);
/// ```
#[derive(Debug)]
pub enum RecvError {
    /// No sender is left, and all messages have been received.
    Disconnected,
    /// The sender ended in the middle of a message. Only a [`Connection`](super::Connection)
    /// returns this.
    Truncated,
    /// A message arrived but could not be decoded, or the system refused to receive it.
    Failed(Error),
}

/// Error of [`Receiver::try_recv`](super::Receiver::try_recv) and
/// [`Connection::try_recv`](super::Connection::try_recv).
///
/// # Examples
///
/// ```
/// use procession::channel::{RecvError, TryRecvError};
///
/// assert_eq!(TryRecvError::Empty.to_string(), "there is no message now");
/// assert!(matches!(RecvError::Truncated.into(), TryRecvError::Truncated));
/// ```
#[derive(Debug)]
pub enum TryRecvError {
    /// There is no message now, or only a part of one.
    Empty,
    /// No sender is left, and all messages have been received.
    Disconnected,
    /// The sender ended in the middle of a message. Only a [`Connection`](super::Connection)
    /// returns this.
    Truncated,
    /// A message arrived but could not be decoded, or the system refused to receive it.
    Failed(Error),
}

/// Error of [`Receiver::recv_timeout`](super::Receiver::recv_timeout) and
/// [`Connection::recv_timeout`](super::Connection::recv_timeout).
///
/// # Examples
///
/// ```
/// use procession::channel::RecvTimeoutError;
/// use std::io;
///
/// let error = RecvTimeoutError::Timeout;
/// assert_eq!(error.to_string(), "no message came in all of the time");
/// assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Debug)]
pub enum RecvTimeoutError {
    /// No message arrived before the timeout, or only a part of one.
    Timeout,
    /// No sender is left, and all messages have been received.
    Disconnected,
    /// The sender ended in the middle of a message. Only a [`Connection`](super::Connection)
    /// returns this.
    Truncated,
    /// A message arrived but could not be decoded, or the system refused to receive it.
    Failed(Error),
}

const GONE: &str = "the other side is gone";
const TRUNCATED: &str = "the other side ended in the middle of a message";

/// Implements the methods and traits of the errors of sending. In brackets: the variant that only
/// this error has, with its message and its kind as an I/O error.
macro_rules! sending {
    ($($name:ident [$($not_now:ident $message:literal $kind:ident)?];)*) => { $(
        impl<T> $name<T> {
            /// Returns the message that was not sent.
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$not_now(message) => message,)?
                    Self::Disconnected(message) | Self::Failed(message, _) => message,
                }
            }
        }

        /// Omits the message, because its type need not implement `Debug`.
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$not_now(_) => f.write_str(concat!(stringify!($not_now), "(..)")),)?
                    Self::Disconnected(_) => f.write_str("Disconnected(..)"),
                    Self::Failed(_, error) => {
                        f.debug_tuple("Failed").field(&format_args!("..")).field(error).finish()
                    }
                }
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$not_now(_) => f.write_str($message),)?
                    Self::Disconnected(_) => f.write_str(GONE),
                    Self::Failed(_, error) => error.fmt(f),
                }
            }
        }

        impl<T> error::Error for $name<T> {
            fn source(&self) -> Option<&(dyn error::Error + 'static)> {
                match self {
                    Self::Failed(_, error) => error.source(),
                    _ => None,
                }
            }
        }

        /// Drops the message.
        impl<T> From<$name<T>> for Error {
            fn from(error: $name<T>) -> Self {
                match error {
                    $($name::$not_now(_) => Self::new(ErrorKind::TimedOut, $message),)?
                    $name::Disconnected(_) => Self::new(ErrorKind::Disconnected, GONE),
                    $name::Failed(_, error) => error,
                }
            }
        }

        /// Drops the message.
        impl<T> From<$name<T>> for io::Error {
            fn from(error: $name<T>) -> Self {
                let kind = match &error {
                    $($name::$not_now(_) => Some(io::ErrorKind::$kind),)?
                    $name::Disconnected(_) => Some(io::ErrorKind::BrokenPipe),
                    $name::Failed(..) => None,
                };
                with_kind(kind, error.into())
            }
        }
    )* };
}

sending! {
    SendError [];
    TrySendError [Full "there is no room for it now" WouldBlock];
    SendTimeoutError [Timeout "there was no room for it in all of the time" TimedOut];
}

/// Implements the traits of the errors of receiving, as above.
macro_rules! receiving {
    ($($name:ident [$($not_now:ident $message:literal $kind:ident)?];)*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$not_now => f.write_str($message),)?
                    Self::Disconnected => f.write_str(GONE),
                    Self::Truncated => f.write_str(TRUNCATED),
                    Self::Failed(error) => error.fmt(f),
                }
            }
        }

        impl error::Error for $name {
            fn source(&self) -> Option<&(dyn error::Error + 'static)> {
                match self {
                    Self::Failed(error) => error.source(),
                    _ => None,
                }
            }
        }

        impl From<$name> for Error {
            fn from(error: $name) -> Self {
                match error {
                    $($name::$not_now => Self::new(ErrorKind::TimedOut, $message),)?
                    $name::Disconnected => Self::new(ErrorKind::Disconnected, GONE),
                    $name::Truncated => Self::new(ErrorKind::Disconnected, TRUNCATED),
                    $name::Failed(error) => error,
                }
            }
        }

        impl From<$name> for io::Error {
            fn from(error: $name) -> Self {
                let kind = match &error {
                    $($name::$not_now => Some(io::ErrorKind::$kind),)?
                    $name::Disconnected | $name::Truncated => Some(io::ErrorKind::UnexpectedEof),
                    $name::Failed(_) => None,
                };
                with_kind(kind, error.into())
            }
        }
    )* };
}

receiving! {
    RecvError [];
    TryRecvError [Empty "there is no message now" WouldBlock];
    RecvTimeoutError [Timeout "no message came in all of the time" TimedOut];
}

/// Makes an I/O error of this kind. Without one, the error itself decides the kind.
fn with_kind(kind: Option<io::ErrorKind>, error: Error) -> io::Error {
    match kind {
        Some(kind) => io::Error::new(kind, error),
        None => error.into(),
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Disconnected(message) => Self::Disconnected(message),
            SendError::Failed(message, error) => Self::Failed(message, error),
        }
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Disconnected(message) => Self::Disconnected(message),
            SendError::Failed(message, error) => Self::Failed(message, error),
        }
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Disconnected => Self::Disconnected,
            RecvError::Truncated => Self::Truncated,
            RecvError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Disconnected => Self::Disconnected,
            RecvError::Truncated => Self::Truncated,
            RecvError::Failed(error) => Self::Failed(error),
        }
    }
}
