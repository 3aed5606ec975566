//! Descriptors inside values. The bytes have an index, and the descriptor itself goes beside them.

use crate::sys::{
    errno,
    fd::{AsFd, BorrowedFd, OwnedFd},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    cell::RefCell,
    fmt, io,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};

/// Wraps a file, a socket or any other owner of a descriptor, so that it can be sent inside another
/// value.
///
/// A parameter or an output of such a type needs no wrapper. Inside a struct, a vector, an option
/// or any other type that serde carries, wrap it in `Fd`. The other process gets a descriptor of
/// its own for the same open file
/// ([`SCM_RIGHTS`](https://man7.org/linux/man-pages/man7/unix.7.html)), so both processes share the
/// file offset.
///
/// Serializing an `Fd` fails outside of a message between processes, since a descriptor means
/// nothing elsewhere.
///
/// # Examples
///
/// ```
/// use procession::{Fd, process};
/// use std::fs::File;
///
/// #[process]
/// fn total(files: Vec<Fd<File>>) -> u64 {
///     files.iter().map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
/// }
///
/// let files = vec![Fd(File::open("/dev/null")?), Fd(File::open("/dev/zero")?)];
/// assert_eq!(total::spawn(files)?.join()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fd<T>(pub T);

impl<T> Fd<T> {
    /// Returns the wrapped value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> From<T> for Fd<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

crate::sys::raw::as_raw_fd!([T: AsFd] Fd<T>);

impl<T: AsFd> Serialize for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cloned = self.0.as_fd().try_clone_to_owned();
        let index = Passage::with(|table| match (table, cloned) {
            (Table::Outward { fds, .. }, Ok(fd)) => {
                fds.push(fd);
                Ok(fds.len() - 1)
            }
            (Table::Outward { refused, .. }, Err(error)) => {
                let what = ser::Error::custom(&error);
                *refused = Some(error);
                Err(what)
            }
            _ => Err(ser::Error::custom(
                "a descriptor can be sent to another process only",
            )),
        });
        serializer.serialize_u64(index? as u64)
    }
}

impl<'de, T: From<OwnedFd>> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u64::deserialize(deserializer)?;
        let fd = Passage::with(|table| match table {
            Table::Inward { fds, .. } => fds.get_mut(usize::try_from(index).ok()?)?.take(),
            _ => None,
        });
        let fd = fd.ok_or_else(|| {
            de::Error::custom(format_args!("no descriptor {index} came with the message"))
        })?;
        Ok(Self(fd.into()))
    }
}

/// The descriptors of the message that this thread is writing or reading.
///
/// It is a thread-local because serde passes no context.
enum Table {
    Outward {
        fds: Vec<OwnedFd>,
        /// The error of a descriptor that could not be duplicated.
        refused: Option<io::Error>,
    },
    Inward {
        fds: Vec<Option<OwnedFd>>,
        /// The error of a handle that could not be opened.
        refused: Option<io::Error>,
    },
    None,
}

/// Turns a system error into an error of serde's, which keeps only the text. The system error
/// itself is kept aside for the reader of the message.
pub(crate) fn unopened<E: de::Error>(error: io::Error) -> E {
    let what = E::custom(&error);
    // Any other error is a fault of the message.
    if matches!(error.raw_os_error(), Some(errno::EMFILE | errno::ENFILE)) {
        Passage::with(|table| {
            if let Table::Inward { refused, .. } = table {
                *refused = Some(error);
            }
        });
    }
    what
}

thread_local! {
    /// It has no destructor, so that it exists until the very end of the thread: the destructor of
    /// another thread-local may send a message. It needs none, since each passage gives back what
    /// it took.
    static TABLE: RefCell<ManuallyDrop<Table>> = const { RefCell::new(ManuallyDrop::new(Table::None)) };
}

/// Sets the table of this thread, and returns the previous one.
fn exchange(table: Table) -> Table {
    ManuallyDrop::into_inner(TABLE.replace(ManuallyDrop::new(table)))
}

/// The time during which `Fd` finds the descriptors of one message. Its end gives them back, even
/// if serde panics.
///
/// Passages nest: a `Serialize` that starts a process encodes a message within a message.
pub(super) struct Passage<'a> {
    home: Home<'a>,
    before: Table,
}

enum Home<'a> {
    Outward(&'a mut Vec<OwnedFd>),
    Inward(&'a mut Vec<Option<OwnedFd>>),
}

impl<'a> Passage<'a> {
    pub(super) fn outward(fds: &'a mut Vec<OwnedFd>) -> Self {
        let before = exchange(Table::Outward {
            fds: std::mem::take(fds),
            refused: None,
        });
        Self {
            home: Home::Outward(fds),
            before,
        }
    }

    pub(super) fn inward(fds: &'a mut Vec<Option<OwnedFd>>) -> Self {
        let before = exchange(Table::Inward {
            fds: std::mem::take(fds),
            refused: None,
        });
        Self {
            home: Home::Inward(fds),
            before,
        }
    }

    /// Takes the system error that prevented a descriptor of the innermost passage from being
    /// duplicated, or a handle from being opened.
    pub(super) fn refused() -> Option<io::Error> {
        Self::with(|table| match table {
            Table::Outward { refused, .. } | Table::Inward { refused, .. } => refused.take(),
            Table::None => None,
        })
    }

    fn with<R>(act: impl FnOnce(&mut Table) -> R) -> R {
        TABLE.with_borrow_mut(|table| act(table))
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut self.before, Table::None);
        match (exchange(before), &mut self.home) {
            (Table::Outward { fds, .. }, Home::Outward(home)) => **home = fds,
            (Table::Inward { fds, .. }, Home::Inward(home)) => **home = fds,
            _ => {}
        }
    }
}
