//! Why a message was not sent, or none received.

use crate::error::{Error, ErrorKind};
use std::{error, fmt, io};

/// Why a message was not sent. The message comes back.
///
/// Converts into [`Error`] and [`io::Error`], so that one `?` serves for all, and the message is dropped.
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
    /// There is nobody left who could receive it.
    Disconnected(T),
    /// It could not be encoded, or the system refused.
    Failed(T, Error),
}

/// Why a message was not sent at once. The message comes back.
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
    /// There is no room for it now.
    Full(T),
    /// There is nobody left who could receive it.
    Disconnected(T),
    /// It could not be encoded, or the system refused.
    Failed(T, Error),
}

/// Why a message was not sent in its time. The message comes back.
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
    /// There was no room for it in all of the time.
    Timeout(T),
    /// There is nobody left who could receive it.
    Disconnected(T),
    /// It could not be encoded, or the system refused.
    Failed(T, Error),
}

/// Why no message was received.
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
    /// There is nobody left who could send one, and all that was sent has been received.
    Disconnected,
    /// The other side ended in the middle of a message. Only at a [`Connection`](super::Connection).
    Truncated,
    /// One came and could not be decoded, or the system refused.
    Failed(Error),
}

/// Why no message was received at once.
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
    /// There is none now, or not the whole of one.
    Empty,
    /// There is nobody left who could send one, and all that was sent has been received.
    Disconnected,
    /// The other side ended in the middle of a message. Only at a [`Connection`](super::Connection).
    Truncated,
    /// One came and could not be decoded, or the system refused.
    Failed(Error),
}

/// Why no message was received in its time.
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
    /// None came in all of the time, or not the whole of one.
    Timeout,
    /// There is nobody left who could send one, and all that was sent has been received.
    Disconnected,
    /// The other side ended in the middle of a message. Only at a [`Connection`](super::Connection).
    Truncated,
    /// One came and could not be decoded, or the system refused.
    Failed(Error),
}

const GONE: &str = "the other side is gone";
const TRUNCATED: &str = "the other side ended in the middle of a message";

/// What each error of sending is for others. The first variant in brackets is the one that the others of its kind have not, with its
/// message and the kind that it has as an I/O error.
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

        /// Without the message, which need not have a form to be shown in.
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

        /// The message is dropped.
        impl<T> From<$name<T>> for Error {
            fn from(error: $name<T>) -> Self {
                match error {
                    $($name::$not_now(_) => Self::new(ErrorKind::TimedOut, $message),)?
                    $name::Disconnected(_) => Self::new(ErrorKind::Disconnected, GONE),
                    $name::Failed(_, error) => error,
                }
            }
        }

        /// The message is dropped.
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

/// The same for the errors of receiving.
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

/// The I/O error of this kind, or of the error's own.
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
