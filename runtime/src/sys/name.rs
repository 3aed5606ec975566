//! Names for shared memory that vanish with the process that gave them.
//!
//! A name is one of the [abstract sockets](https://man7.org/linux/man-pages/man7/unix.7.html). The
//! kernel removes it when the process ends, whatever the reason: no file is left behind. Two
//! sockets are bound. The first is the name itself, which nobody else can bind then. The second
//! says where the memory is: which descriptor of which process. A process that looks for the memory
//! finds the second socket in `/proc/net/unix`. It opens the memory by `/proc/<pid>/fd/<number>`,
//! which the kernel allows to processes of the same user. Nothing is ever sent to the sockets.
//!
//! Anybody can bind any name, in any PID namespace. So what the second socket says is checked:
//!
//! - The process must be of this user and of this PID namespace.
//! - The process must itself have the very socket that the kernel lists under this name, by its
//!   inode number.
//! - The memory must have the inode number that the name says.
//!
//! A process can forge this only for its own descriptors.

use super::own;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::{
        socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket},
        stat::{Mode, fstat},
    },
    unistd::geteuid,
};
use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    process,
};

/// A name, which is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Name {
    // The fields are dropped in this order, which matters: a place that can still be found must be
    // right.
    _place: OwnedFd,
    _claim: OwnedFd,
    _memory: OwnedFd,
}

/// Why the memory of a name was not opened.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No process has given the name.
    Nobody,
    /// A process has given it, but the memory may not be opened, or not from this PID namespace.
    Denied,
    /// It cannot be a name.
    Invalid,
    /// It cannot be seen which names there are, or this process lacks a descriptor or memory.
    Unlisted(io::Error),
}

/// The longest name, in bytes. With everything that is added to it, it must fit into the address of
/// a socket.
pub(crate) const LONGEST: usize = 50;

/// Where names are looked up, as an error says it.
pub(crate) const WHERE: &str = " in `/proc`";

/// The list of all Unix sockets of this network namespace.
const LIST: &str = "/proc/thread-self/net/unix";

/// Where the memory is. This stands after the name, as hexadecimal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    id: u32,
    memory: u32,
    /// The lower half of the memory's inode number.
    inode: u32,
    /// The descriptor of the socket that says this.
    socket: u32,
    /// The number of the PID namespace that `id` belongs to.
    namespace: u32,
}

impl Place {
    fn new(memory: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            id: process::id(),
            memory: memory.as_raw_fd().cast_unsigned(),
            inode: inode(memory)?,
            socket: socket.as_raw_fd().cast_unsigned(),
            namespace: namespace()?,
        })
    }

    fn text(self) -> String {
        let Self {
            id,
            memory,
            inode,
            socket,
            namespace,
        } = self;
        format!("{id:x}/{memory:x}/{inode:x}/{socket:x}/{namespace:x}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .split('/')
            .map(|number| u32::from_str_radix(number, 16).ok());
        Some(Self {
            id: numbers.next()??,
            memory: numbers.next()??,
            inode: numbers.next()??,
            socket: numbers.next()??,
            namespace: numbers.next()??,
        })
    }
}

fn inode(fd: impl AsFd) -> io::Result<u32> {
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is enough")]
    let inode = fstat(fd)?.st_ino as u32;
    Ok(inode)
}

/// Returns the number of the PID namespace. It is all ones if it is not known.
fn namespace() -> io::Result<u32> {
    own::page()?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the numbers are of 32 bits"
    )]
    let namespace = own::namespace() as u32;
    Ok(namespace)
}

fn are_apart(one: u32, other: u32) -> bool {
    one != other && one != u32::MAX && other != u32::MAX
}

impl Name {
    /// Gives memory a name. Fails with `EEXIST` if the name is taken, and with `EINVAL` if it
    /// cannot be a name.
    pub(crate) fn bind(name: &str, memory: BorrowedFd<'_>) -> io::Result<Self> {
        let memory = memory.try_clone_to_owned()?;
        let address = address(name).ok_or(Errno::EINVAL)?;
        let claim = endpoint()?;
        claim_address(&claim, &address)?;
        let place = endpoint()?;
        let text = Place::new(memory.as_fd(), place.as_fd())?.text();
        claim_address(&place, &format!("{address}/{text}"))?;
        Ok(Self {
            _place: place,
            _claim: claim,
            _memory: memory,
        })
    }
}

fn endpoint() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket(
        AddressFamily::Unix,
        SockType::Datagram,
        flags,
        None,
    )?)
}

fn claim_address(endpoint: &OwnedFd, address: &str) -> io::Result<()> {
    let address = UnixAddr::new_abstract(address.as_bytes())?;
    Ok(
        bind(endpoint.as_raw_fd(), &address).map_err(|errno| match errno {
            Errno::EADDRINUSE => Errno::EEXIST,
            errno => errno,
        })?,
    )
}

/// Opens the memory that has this name.
pub(crate) fn find(name: &str) -> Result<OwnedFd, Lost> {
    let prefix = format!(" @{}/", address(name).ok_or(Lost::Invalid)?);
    let sockets = || fs::read(LIST).map_err(Lost::Unlisted);
    let mut why = Lost::Nobody;
    for line in lines(&sockets()?, &prefix) {
        let reached = reach(line, &prefix);
        // If the line is still there, it was there when the descriptor was opened. If it is not,
        // the name is gone, and nothing was denied.
        if !lines(&sockets()?, &prefix).any(|later| later == line) {
            continue;
        }
        match reached {
            Ok(memory) => return Ok(memory),
            Err(Lost::Nobody) => {}
            Err(denied) => why = denied,
        }
    }
    Err(why)
}

/// Opens what a line leads to, if everything is as the line says. Anybody could have bound the name
/// to anything.
fn reach(line: &[u8], prefix: &str) -> Result<OwnedFd, Lost> {
    let line = str::from_utf8(line).map_err(|_| Lost::Nobody)?;
    let (fields, place) = line.split_once(prefix).ok_or(Lost::Nobody)?;
    let place = Place::parse(place).ok_or(Lost::Denied)?;
    let socket = fields.split_ascii_whitespace().next_back();
    let socket = format!("socket:[{}]", socket.unwrap_or_default());
    let here = namespace().map_err(Lost::Unlisted)?;
    let process = format!("/proc/{}", place.id);
    // If a process is not there although its socket is, it is hidden, or of another namespace.
    let owner = fs::metadata(&process).map_err(|_| Lost::Denied)?.uid();
    if are_apart(place.namespace, here) || owner != geteuid().as_raw() {
        return Err(Lost::Denied);
    }
    let target = |number: u32| {
        let path = format!("{process}/fd/{number}");
        fs::read_link(path).map_err(|error| match error.kind() {
            // The process is just ending, or giving up the name.
            io::ErrorKind::NotFound => Lost::Nobody,
            _ => Lost::Denied,
        })
    };
    let memory = target(place.memory)?;
    let is_memory = memory.as_os_str().as_encoded_bytes();
    let is_memory = is_memory.starts_with(b"/memfd:");
    if !is_memory || target(place.socket)?.as_os_str() != socket.as_str() {
        return Err(Lost::Denied);
    }
    let path = format!("{process}/fd/{}", place.memory);
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let memory = open(path.as_str(), flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ENOENT => Lost::Nobody,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM => Lost::Unlisted(errno.into()),
        _ => Lost::Denied,
    })?;
    match inode(&memory) {
        Ok(inode) if inode == place.inode => Ok(memory),
        _ => Err(Lost::Denied),
    }
}

/// Returns the lines of the list that contain `what`.
fn lines<'a>(list: &'a [u8], what: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = list.split(|byte| *byte == b'\n');
    lines.filter(|line| line.windows(what.len()).any(|part| part == what.as_bytes()))
}

/// Returns the address of a name, or `None` if it cannot be a name. Each user has separate names.
fn address(name: &str) -> Option<String> {
    let is_part = |c: char| !(c == '/' || c.is_whitespace() || c.is_control());
    let is_name = !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_part);
    is_name.then(|| format!("procession/{:x}/{name}", geteuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn longest_place_fits_into_an_address_and_is_read_as_it_is_written() {
        let place = Place {
            id: 1 << 22,
            memory: 0xf_ffff,
            inode: u32::MAX,
            socket: 0xf_ffff,
            namespace: u32::MAX,
        };
        let text = place.text();
        assert_eq!(Place::parse(&text), Some(place));
        assert_eq!(Place::parse("1/2/3/4"), None);
        let address = format!(
            "procession/{:x}/{}/{text}",
            u32::MAX,
            "x".repeat(super::LONGEST)
        );
        assert!(address.len() <= 107, "{}", address.len());
    }
}
