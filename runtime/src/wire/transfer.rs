//! The types that can be sent to another process.

use super::message::{Incoming, Outgoing};
use crate::{
    error::Result,
    sys::{
        fd::{AsFd, OwnedFd},
        text,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    convert,
    ffi::{CStr, CString, OsStr, OsString},
    path::{Path, PathBuf},
};

/// Types that can be sent to another process. This is the only bound on parameters, outputs and
/// messages.
///
/// Every type that implements serde's [`Serialize`] and [`DeserializeOwned`] is `Transfer`, with
/// every serde attribute. The value that arrives is equal to the value that was sent: see
/// [below](#what-arrives).
///
/// Parameters and outputs of a process may also be:
///
/// - Files, sockets, pipe ends and other owners of a descriptor: [`File`](std::fs::File),
///   [`OwnedFd`], [`TcpStream`](std::net::TcpStream) and similar types. In messages and inside
///   other types, wrap them in [`Fd`](crate::Fd).
/// - Arrays of any length, arrays of such arrays, and arrays of numbers at any depth. A reference
///   may point to an array of any length, to an array of numbers at any depth, or to a slice of
///   such arrays. (Elsewhere, serde carries arrays of up to 32 elements.)
/// - Outputs only: a `Result`, whose `Ok` is anything that may be an output. Its `Err` is
///   `Transfer`, an [`io::Error`](std::io::Error), or an error type that can be made of any error,
///   such as `Box<dyn Error>` or `anyhow::Error`. Other errors become a
///   [`RemoteError`](crate::RemoteError) by `?`. In messages and inside other types, an `io::Error`
///   must become one too.
/// - Parameters only: references (`&str`, `&[T]`, `&Path`, `&T`). They are sent without a clone.
///   The child owns the value that they point to while its function runs.
///
/// # Speed
///
/// Text and slices of numbers are sent as bytes, and not element by element: `Vec<u8>`, `&[f32]`,
/// `Box<[i64]>`, `Arc<[u128]>`, `Cow<[f64]>`, `String`, `&str`, serde's own bytes, and everything
/// else that serde writes as a slice of `u8` to `u128`, `i8` to `i128`, `f32` or `f64`, at any
/// depth in other types. As a parameter or an output, an array of numbers is sent that way at any
/// depth, and so is a slice of such arrays. Text is checked to be UTF-8 on arrival.
///
/// Above 64 KiB, such a value is received directly into the vector that it becomes. As a parameter,
/// or behind the reference of a parameter, it is sent without a copy. So is a part of another type
/// that has 1 MiB or more, in arguments and outputs: it is sent while the rest of the value is
/// still being encoded. The child of such an argument is started before the value is wholly
/// encoded. Smaller parts are copied once before they are sent.
///
/// These are sent element by element, because serde writes them so: `Vec<bool>`, `Vec<char>`,
/// vectors of tuples, arrays and structs, [`VecDeque`](std::collections::VecDeque), sets and maps.
/// So is the content of an untagged or internally tagged enum or of a flattened field, since serde
/// decides later what it is. For vectors of plain structs and arrays, use [`Bulk`](crate::Bulk).
///
/// A large output goes directly to a parent that is [joining](crate::Child::join). If no parent is
/// joining, the child writes the output to memory of its own, a
/// [memfd](https://man7.org/linux/man-pages/man2/memfd_create.2.html), and ends. That takes several
/// times longer.
///
/// # What arrives
///
/// The child has a copy of every value, and what it changes in the copy is not changed here. That
/// holds for a [`Mutex`](std::sync::Mutex) or an atomic of [`std`] too, also behind a reference:
/// use those of `procession::sync` and `procession::shm`, which are shared.
///
/// Each of serde's types has an encoding of its own: `Some(None)` and `Some(())` are not `None`,
/// and floats keep their bits.
///
/// A path that is not UTF-8 arrives wherever its type is visible: as a parameter, an output or a
/// message, and as a field, an element, a key or the content of an option. `Box<Path>`,
/// `Arc<Path>`, `Rc<Path>` and `Cow<Path>` arrive too.
///
/// These limits are serde's own. A value beyond a limit is an error:
///
/// - The content of an untagged or internally tagged enum, or of a flattened field, is first kept
///   in an intermediate form of serde's. That form has no `u128`, no `i128`, and no path that is
///   not UTF-8. An untagged enum becomes the first variant that fits.
/// - A path that is not UTF-8 is not visible if serde writes it as the content of another type: a
///   `#[serde(transparent)]` struct, a `Mutex`, a `RefCell`, a `Reverse`.
/// - A [`SystemTime`](std::time::SystemTime) before 1970 cannot be sent.
/// - A type that is made for one format, such as `RawValue` of `serde_json` or the tags of
///   `ciborium`, works in that format only.
///
/// An [`io::Error`](std::io::Error) arrives with its kind, its code and its message. Any other
/// error that is not `Transfer` arrives with what it and its sources say:
/// [`RemoteError`](crate::RemoteError#what-arrives) has the details.
///
/// A type that has a human-readable and a compact form, such as an IP address, is sent in the
/// human-readable form.
///
/// Options, variants, sequences and maps may be nested 512 levels deep, both for the sender and for
/// the receiver. Also, writing or reading a value may use half of the stack that the thread has
/// left, so the limit is lower on a small stack. Beyond either limit the result is an error.
///
/// # Examples
///
/// ```
/// use procession::{Transfer, process};
///
/// #[process]
/// fn echo<T: Transfer>(value: T) -> T {
///     value
/// }
///
/// let child = echo::spawn("there and back".to_owned())?;
/// assert_eq!(child.join()?, "there and back");
/// # Ok::<(), procession::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "does not travel between processes",
    note = "processes share no memory: what they exchange must implement serde's `Serialize` and `Deserialize`; a type parameter \
            needs the bound `T: Transfer`",
    note = "a file, a socket or another owner of a descriptor can be a parameter or an output; in messages and inside other types \
            it travels as `procession::Fd`",
    note = "a lock and shared memory hold plain data only: a `u8` for a `bool`, an array of bytes for text"
)]
pub trait Transfer: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Transfer for T {}

/// The owners of a descriptor in std. A blanket impl over `AsFd` would include types such as
/// `Rc<File>`.
pub trait Descriptor: AsFd + From<OwnedFd> {}

macro_rules! descriptors {
    ($($(#[$attribute:meta])* $ty:ty,)*) => { $($(#[$attribute])* impl Descriptor for $ty {})* };
}

descriptors! {
    OwnedFd,
    std::fs::File,
    std::io::PipeReader,
    std::io::PipeWriter,
    std::net::TcpListener,
    std::net::TcpStream,
    std::net::UdpSocket,
    #[cfg(unix)]
    std::os::unix::net::UnixDatagram,
    #[cfg(unix)]
    std::os::unix::net::UnixListener,
    #[cfg(unix)]
    std::os::unix::net::UnixStream,
    std::process::ChildStderr,
    std::process::ChildStdin,
    std::process::ChildStdout,
}

/// Types that a reference parameter may point to.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` behind a reference cannot be sent to another process",
    label = "does not travel between processes",
    note = "processes share no memory: what they exchange must implement serde's `Serialize` and `Deserialize`; a type parameter \
            needs the bound `T: Transfer`",
    note = "a file, a socket or another owner of a descriptor can be a parameter or an output; in messages and inside other types \
            it travels as `procession::Fd`",
    note = "a lock and shared memory hold plain data only: a `u8` for a `bool`, an array of bytes for text"
)]
pub trait Lend {
    /// The type that the child owns while its function borrows it.
    type Held;
    fn __lend(held: &Self::Held) -> &Self;
    fn __send<'a>(&'a self, what: &str, to: &mut Outgoing<'a>) -> Result<()>;
    fn __receive(from: &mut Incoming) -> Result<Self::Held>;
}

#[diagnostic::do_not_recommend]
impl<T: Transfer> Lend for T {
    type Held = T;

    fn __lend(held: &T) -> &T {
        held
    }

    fn __send<'a>(&'a self, what: &str, to: &mut Outgoing<'a>) -> Result<()> {
        to.put(what, self)
    }

    fn __receive(from: &mut Incoming) -> Result<T> {
        from.take()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Transfer> Lend for [T] {
    type Held = Vec<T>;

    fn __lend(held: &Vec<T>) -> &[T] {
        held
    }

    fn __send<'a>(&'a self, what: &str, to: &mut Outgoing<'a>) -> Result<()> {
        to.put(what, self)
    }

    fn __receive(from: &mut Incoming) -> Result<Vec<T>> {
        from.take()
    }
}

fn path_bytes(path: &Path) -> &[u8] {
    text::bytes(path.as_os_str())
}

/// Each unsized type with its owner and the type that is sent. Paths and OS strings are sent as
/// bytes, since they need not be UTF-8.
macro_rules! lend {
    ($($lent:ty, $held:ty, $form:ty, $out:expr, $back:expr;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl Lend for $lent {
            type Held = $held;

            fn __lend(held: &$held) -> &$lent {
                held
            }

            fn __send<'a>(&'a self, what: &str, to: &mut Outgoing<'a>) -> Result<()> {
                to.put(what, $out(self))
            }

            fn __receive(from: &mut Incoming) -> Result<$held> {
                from.take::<$form>().map($back)
            }
        }
    )* };
}

lend! {
    str, String, String, convert::identity::<&str>, convert::identity;
    CStr, CString, CString, convert::identity::<&CStr>, convert::identity;
    OsStr, OsString, Vec<u8>, text::bytes, text::from_bytes;
    Path, PathBuf, Vec<u8>, path_bytes, |bytes| text::from_bytes(bytes).into();
}
