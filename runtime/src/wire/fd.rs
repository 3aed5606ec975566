//! Descriptors inside values. The bytes have an index, and the descriptor itself goes beside them.

use crate::sys::{
    errno,
    fd::{AsFd, BorrowedFd, OwnedFd},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    cell::{Cell, RefCell},
    fmt, io,
    mem::{self, ManuallyDrop},
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
        let index = Passage::with(|table| match (Passage::way(), cloned) {
            (Way::Outward, Ok(fd)) => {
                table.outward.push(fd);
                Ok(table.outward.len() - 1)
            }
            (Way::Outward, Err(error)) => {
                let what = ser::Error::custom(&error);
                table.refused = Some(error);
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
        // There are none unless a message is being read.
        let fd = Passage::with(|table| {
            let place = usize::try_from(index).ok()?;
            table.inward.get_mut(place)?.take()
        });
        let fd = fd.ok_or_else(|| {
            de::Error::custom(format_args!("no descriptor {index} came with the message"))
        })?;
        Ok(Self(fd.into()))
    }
}

/// What this thread is doing with a message.
#[derive(Clone, Copy)]
struct State {
    way: Way,
    /// Whether there may be something in the table. Nearly all messages have no descriptors, and
    /// the table is not touched for those.
    is_used: bool,
}

/// Whether a message is being written or read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Neither,
    Outward,
    Inward,
}

/// The descriptors of the message that this thread is writing or reading.
struct Table {
    /// The descriptors of a message that is being written.
    outward: Vec<OwnedFd>,
    /// The descriptors of a message that is being read, those that were not taken yet.
    inward: Vec<Option<OwnedFd>>,
    /// The error of a descriptor that could not be duplicated, or of a handle that could not be
    /// opened.
    refused: Option<io::Error>,
    /// The table of the passage around this one, if that was used.
    around: Option<Box<Self>>,
}

impl Table {
    const EMPTY: Self = Self {
        outward: Vec::new(),
        inward: Vec::new(),
        refused: None,
        around: None,
    };
}

/// Turns a system error into an error of serde's, which keeps only the text. The system error
/// itself is kept aside for the reader of the message.
pub(crate) fn unopened<E: de::Error>(error: io::Error) -> E {
    let what = E::custom(&error);
    // Any other error is a fault of the message.
    if matches!(error.raw_os_error(), Some(errno::EMFILE | errno::ENFILE)) {
        Passage::with(|table| {
            if Passage::way() == Way::Inward {
                table.refused = Some(error);
            }
        });
    }
    what
}

// They are thread-locals because serde passes no context. They have no destructor, so that they
// exist until the very end of the thread: the destructor of another thread-local may send a
// message. They need none, since each passage gives back what it took.
thread_local! {
    static STATE: Cell<State> = const { Cell::new(State { way: Way::Neither, is_used: false }) };

    static TABLE: RefCell<ManuallyDrop<Table>> = const { RefCell::new(ManuallyDrop::new(Table::EMPTY)) };
}

/// The time during which `Fd` finds the descriptors of one message. Its end gives them back, even
/// if serde panics.
///
/// Passages nest: a `Serialize` that starts a process encodes a message within a message.
pub(super) struct Passage<'a> {
    home: Home<'a>,
    /// What this thread did before.
    around: State,
}

enum Home<'a> {
    Outward(&'a mut Vec<OwnedFd>),
    Inward(&'a mut Vec<Option<OwnedFd>>),
}

impl<'a> Passage<'a> {
    pub(super) fn outward(fds: &'a mut Vec<OwnedFd>) -> Self {
        let is_used = !fds.is_empty();
        Self::begin(Way::Outward, Home::Outward(fds), is_used)
    }

    pub(super) fn inward(fds: &'a mut Vec<Option<OwnedFd>>) -> Self {
        let is_used = !fds.is_empty();
        Self::begin(Way::Inward, Home::Inward(fds), is_used)
    }

    fn begin(way: Way, home: Home<'a>, is_used: bool) -> Self {
        let around = STATE.replace(State { way, is_used });
        let mut passage = Self { home, around };
        if around.is_used || is_used {
            passage.begin_table();
        }
        passage
    }

    #[cold]
    fn begin_table(&mut self) {
        let around = Self::exchange(Table::EMPTY);
        let around = self.around.is_used.then(|| Box::new(around));
        drop(Self::exchange(Table {
            around,
            ..Table::EMPTY
        }));
        self.home.exchange();
    }

    #[cold]
    fn end_table(&mut self) {
        self.home.exchange();
        let ended = Self::exchange(Table::EMPTY);
        let around = ended.around.map_or(Table::EMPTY, |around| *around);
        drop(Self::exchange(around));
    }

    fn exchange(table: Table) -> Table {
        ManuallyDrop::into_inner(TABLE.replace(ManuallyDrop::new(table)))
    }

    /// Takes the system error that prevented a descriptor of the innermost passage from being
    /// duplicated, or a handle from being opened.
    pub(super) fn refused() -> Option<io::Error> {
        Self::with(|table| table.refused.take())
    }

    fn way() -> Way {
        STATE.get().way
    }

    fn with<R>(act: impl FnOnce(&mut Table) -> R) -> R {
        STATE.set(State {
            is_used: true,
            ..STATE.get()
        });
        TABLE.with_borrow_mut(|table| act(table))
    }
}

impl Home<'_> {
    /// Exchanges the descriptors of the message for those of the table.
    fn exchange(&mut self) {
        TABLE.with_borrow_mut(|table| match self {
            Self::Outward(home) => mem::swap(*home, &mut table.outward),
            Self::Inward(home) => mem::swap(*home, &mut table.inward),
        });
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if STATE.get().is_used || self.around.is_used {
            self.end_table();
        }
        STATE.set(self.around);
    }
}
