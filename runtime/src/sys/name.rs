//! Names for shared memory that die with the process that gave them.
//!
//! A name is one of the [abstract sockets](https://man7.org/linux/man-pages/man7/unix.7.html), which the kernel takes away when the
//! process ends, however it does: there is no file to be left behind. Two are bound: the name itself, which nobody else can have
//! then, and one that says where the memory is: a descriptor of a process. Who looks for it finds that one in `/proc/net/unix`, and
//! gets the memory by `/proc/<pid>/fd/<number>`, which the kernel allows for processes of the same user. Nothing is ever sent to the
//! sockets.

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::Mode,
    unistd::geteuid,
};
use std::{
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::MetadataExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
};

/// A name, ours until it is dropped.
#[derive(Debug)]
pub(crate) struct Name {
    // The order matters: a place that is still to be found must be right.
    _place: UnixDatagram,
    _claim: UnixDatagram,
    _memory: OwnedFd,
}

/// The longest name, in bytes: with all that is added it has to fit into the address of a socket.
pub(crate) const LONGEST: usize = 50;

impl Name {
    /// Gives memory a name. `EEXIST` if it is taken, `EINVAL` if it is none.
    pub(crate) fn bind(name: &str, memory: BorrowedFd<'_>) -> io::Result<Self> {
        let memory = memory.try_clone_to_owned()?;
        let address = address(name)?;
        let bind = |address: &str| {
            let address = SocketAddr::from_abstract_name(address)?;
            UnixDatagram::bind_addr(&address).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => Errno::EEXIST.into(),
                _ => error,
            })
        };
        let claim = bind(&address)?;
        let place = format!("{address}/{}/{}", process::id(), memory.as_raw_fd());
        Ok(Self {
            _place: bind(&place)?,
            _claim: claim,
            _memory: memory,
        })
    }
}

/// Gets the memory that has this name. `ENOENT` if none has.
pub(crate) fn find(name: &str) -> io::Result<OwnedFd> {
    let prefix = format!(" @{}/", address(name)?);
    let list = fs::read("/proc/thread-self/net/unix")?;
    for line in lines(&list, &prefix) {
        let Some(memory) = reach(line, &prefix) else {
            continue;
        };
        // If it is still there, then it was when the descriptor was opened, and that was the right one.
        if lines(&fs::read("/proc/thread-self/net/unix")?, &prefix).any(|later| later == line) {
            return Ok(memory);
        }
    }
    Err(Errno::ENOENT.into())
}

/// Opens what a line leads to, if it is of this user. Another one could have bound the name to anything.
fn reach(line: &[u8], prefix: &str) -> Option<OwnedFd> {
    let line = str::from_utf8(line).ok()?;
    let (_, place) = line.split_once(prefix)?;
    let (id, number) = place.split_once('/')?;
    let (id, number) = (id.parse::<u32>().ok()?, number.parse::<u32>().ok()?);
    let owner = fs::metadata(format!("/proc/{id}")).ok()?.uid();
    let path = format!("/proc/{id}/fd/{number}");
    let target = fs::read_link(&path).ok()?;
    if owner != geteuid().as_raw()
        || !target
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"/memfd:")
    {
        return None;
    }
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open(path.as_str(), flags, Mode::empty()).ok()
}

/// The lines of the list that have this in them.
fn lines<'a>(list: &'a [u8], what: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = list.split(|byte| *byte == b'\n');
    lines.filter(|line| line.windows(what.len()).any(|part| part == what.as_bytes()))
}

/// The address of a name. Users have theirs apart.
fn address(name: &str) -> io::Result<String> {
    let is_part = |c: char| !(c == '/' || c.is_whitespace() || c.is_control());
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_part) {
        return Err(Errno::EINVAL.into());
    }
    Ok(format!("procession/{}/{name}", geteuid()))
}
