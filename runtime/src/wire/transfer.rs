//! What may cross from one process to another.

use super::message::{Incoming, Outgoing};
use crate::error::Result;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    convert,
    ffi::{CStr, CString, OsStr, OsString},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

/// What can be sent to another process: the one bound on parameters, outputs and messages.
///
/// Every type is `Transfer` that implements serde's [`Serialize`] and [`DeserializeOwned`], with every
/// serde attribute. A value arrives equal to what was sent: see [below](#what-arrives).
///
/// Parameters and outputs of a process may also be:
///
/// - Files, sockets, pipe ends and other owners of a descriptor: [`File`](std::fs::File), [`OwnedFd`],
///   [`TcpStream`](std::net::TcpStream) and its like. In messages and inside other types wrap them in
///   [`Fd`](crate::Fd).
/// - Arrays of any length.
/// - Parameters only: references (`&str`, `&[T]`, `&Path`, `&T`). They are sent without a clone, and
///   the child owns what they point to while it runs.
///
/// # Speed
///
/// Numbers and text in bulk move as the bytes they are, and not one by one: `Vec<u8>`, `&[f32]`, `Box<[i64]>`, `Arc<[u128]>`,
/// `Cow<[f64]>`, `String`, `&str`, serde's own bytes, and whatever else serde writes as a slice of numbers from `u8` to `i128`, `f32` or
/// `f64`, at any depth in other types. From 64 KiB on they are read straight into the vector they become. As a parameter, or behind
/// its reference, such a value is also sent from where it is; inside another type it is copied once before. An array of numbers does so
/// as a parameter or an output. A text is checked to be UTF-8 on arrival.
///
/// What serde sees element by element moves that way: `Vec<bool>`, `Vec<char>`, vectors of tuples, arrays and structs,
/// [`VecDeque`](std::collections::VecDeque), sets and maps, and whatever an untagged or internally tagged enum or a flattened field
/// holds, since serde sorts out afterwards what that is. For vectors of plain structs and arrays there is [`Bulk`](crate::Bulk).
///
/// A large output goes straight to a parent that is [joining](crate::Child::join). Where none is, the child leaves it in memory of its own,
/// a [memfd](https://man7.org/linux/man-pages/man2/memfd_create.2.html), and ends: that takes several times longer.
///
/// # What arrives
///
/// Each of serde's types has a form of its own: `Some(None)` is not `None`, `Some(())` is not `None`, and floats keep their bits. A path
/// that is not UTF-8 arrives wherever its type can be seen: as a parameter, an output or a message, and as a field, an element, a key or
/// the content of an option, also as `Box<Path>`, `Arc<Path>`, `Rc<Path>` or `Cow<Path>`.
///
/// These limits are serde's own, and a value that passes one of them is an error:
///
/// - What is in an untagged or internally tagged enum, or in a flattened field, serde keeps in a form of its own first. That form has
///   no `u128` and `i128`, and no path that is not UTF-8. An untagged enum becomes the first variant that fits.
/// - A path that is not UTF-8 cannot be seen in what serde writes as its content: a `#[serde(transparent)]` struct, a `Mutex`, a
///   `RefCell`, a `Reverse`.
/// - A [`SystemTime`](std::time::SystemTime) before 1970 cannot be written.
/// - A type that is made for one format, as `serde_json`'s `RawValue` and `ciborium`'s tags are, is itself in that format alone.
///
/// Types that have a form for people and one for machines, as addresses have, are written in the one for people.
///
/// Options, variants, sequences and maps may be nested 512 levels deep, for who sends and for who receives. On the stack of a thread,
/// writing or reading a value takes no more than half of what is left: on a small stack the limit is lower. Both are errors.
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
    note = "processes share no memory: what they exchange must implement serde's `Serialize` and `Deserialize`",
    note = "a file, a socket or another owner of a descriptor can be a parameter or an output; in messages and inside other types \
            it travels as `procession::Fd`"
)]
pub trait Transfer: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Transfer for T {}

/// The owners of a descriptor in std. (A blanket impl over `AsFd` would take in types such as
/// `Rc<File>`.)
pub trait Descriptor: std::os::fd::AsFd + From<OwnedFd> {}

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
    std::os::unix::net::UnixDatagram,
    std::os::unix::net::UnixListener,
    std::os::unix::net::UnixStream,
    std::process::ChildStderr,
    std::process::ChildStdin,
    std::process::ChildStdout,
}

/// What may stand behind a reference at the top of a parameter.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` behind a reference cannot be sent to another process",
    label = "does not travel between processes",
    note = "processes share no memory: what they exchange must implement serde's `Serialize` and `Deserialize`",
    note = "a file, a socket or another owner of a descriptor can be a parameter or an output; in messages and inside other types \
            it travels as `procession::Fd`"
)]
pub trait Lend {
    /// What the child owns while its function borrows.
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
    path.as_os_str().as_bytes()
}

/// Each unsized type with its owner, and the form it has on the way. Paths and OS strings travel as the bytes they are, since
/// they need not be UTF-8.
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
    OsStr, OsString, Vec<u8>, OsStr::as_bytes, OsString::from_vec;
    Path, PathBuf, Vec<u8>, path_bytes, |bytes| OsString::from_vec(bytes).into();
}
