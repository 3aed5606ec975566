//! A pair of connected sockets, over which bytes and descriptors travel: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).

use nix::{
    errno::Errno,
    sys::socket::{
        self, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, getsockopt, setsockopt,
        sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// How many descriptors one message can carry: the kernel's `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

/// Makes a pair of connected stream sockets, closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Makes a pair of connected sockets whose messages stay whole, closed on exec.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Ends what is sent from here, so that the other side comes to an end of what it reads.
pub(crate) fn end_sending(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(
        socket.as_raw_fd(),
        socket::Shutdown::Write,
    )?)
}

/// Whether there is something to be received, and not only the end.
pub(crate) fn has_something(socket: BorrowedFd<'_>) -> bool {
    matches!(peek(socket), Ok(true))
}

/// Looks whether something is to be received, or else it is the end. Never waits: neither is `EAGAIN`.
pub(crate) fn peek(socket: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(peek_into(socket, &mut [0])? != 0)
}

/// How many bytes there is room for while nobody receives: half of what the kernel counts, which includes its own.
pub(crate) fn room(socket: BorrowedFd<'_>) -> usize {
    getsockopt(&socket, sockopt::SndBuf).unwrap_or(0) / 2
}

/// Whether the other side has received all that was sent.
pub(crate) fn is_read(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut unread: libc::c_int = 0;
    // SAFETY: the result is a valid place to write to. For a socket this is `SIOCOUTQ`.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) })?;
    Ok(unread == 0)
}

/// Waits until something is to be received, or it is the end, for as long as that takes: as poll does, in less time. It is `EAGAIN` where
/// somebody has told the socket that nobody waits for it.
pub(crate) fn wait_for_something(socket: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match socket::recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK) {
            Err(Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Copies what is to be received next, and leaves it there; returns how many bytes it is, none being the end. Never waits: nothing there
/// is `EAGAIN`.
pub(crate) fn peek_into(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    loop {
        match socket::recv(socket.as_raw_fd(), buffer, flags) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Takes no more of what the other side sends: it is told so. What has come already can still be received.
pub(crate) fn end_receiving(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(
        socket.as_raw_fd(),
        socket::Shutdown::Read,
    )?)
}

/// The process that made the socket pair, and its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

/// Returns who is at the other end, if the descriptor is a connected Unix stream socket at all.
pub(crate) fn peer(fd: BorrowedFd<'_>) -> Option<Peer> {
    if getsockopt(&fd, sockopt::SockType).ok()? != SockType::Stream {
        return None;
    }
    let credentials = getsockopt(&fd, sockopt::PeerCredentials).ok()?;
    Some(Peer {
        pid: u32::try_from(credentials.pid()).ok()?,
        uid: credentials.uid(),
    })
}

/// Sends some of the bytes, and all of the descriptors beside the first of them; returns how many bytes went.
///
/// Never waits: no room is `EAGAIN`.
/// A dead peer is `EPIPE` or `ECONNRESET`, never SIGPIPE.
pub(crate) fn try_send(
    to: BorrowedFd<'_>,
    bytes: &[IoSlice<'_>],
    fds: &[OwnedFd],
) -> io::Result<usize> {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() {
        &rights[..0]
    } else {
        &rights
    };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match socket::sendmsg::<()>(to.as_raw_fd(), bytes, control, flags, None) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// What was received of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// How many bytes came, none being the end.
    pub(crate) bytes: usize,
    /// Whether a descriptor that was sent beside them did not fit into our table.
    pub(crate) is_short: bool,
}

/// Receives some bytes into the buffers, and appends the descriptors that came beside them, those that fit into our table. Never waits:
/// nothing there is `EAGAIN`.
pub(crate) fn try_receive(
    from: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    // Not nix's own: where the table is full, that one loses the descriptors that did fit.
    let mut control = Control([0; CONTROL]);
    // SAFETY: `msghdr` is a plain C struct, for which all zeros are a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // The one has the form of the other.
    message.msg_iov = buffers.as_mut_ptr().cast();
    message.msg_iovlen = buffers.len() as _;
    message.msg_control = (&raw mut control.0).cast();
    message.msg_controllen = CONTROL as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let bytes = loop {
        // SAFETY: the message points to buffers and to a control buffer, each with its length, that are ours to write to.
        match Errno::result(unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, flags) }) {
            Err(Errno::EINTR) => {}
            result => break result?.cast_unsigned(),
        }
    };
    take_descriptors(&message, &control, fds);
    Ok(Received {
        bytes,
        is_short: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// Receives some bytes into memory that need not have been written to; returns how many came, none being the end. Never waits:
/// nothing there is `EAGAIN`.
///
/// Descriptors that come beside them are closed.
pub(crate) fn try_receive_into(
    from: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    loop {
        // SAFETY: the buffer is ours to write to, and as long as is said.
        let received = unsafe { libc::recv(from.as_raw_fd(), start, length, libc::MSG_DONTWAIT) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?.cast_unsigned()),
        }
    }
}

/// Lets more be on its way at once than a socket does by itself, for as much as the system allows.
pub(crate) fn widen(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SndBuf, &WIDE)?)
}

/// More than this was not measured to help.
const WIDE: usize = 1 << 20;

/// What the descriptors of one message take in its control buffer.
const CONTROL: usize = {
    const DESCRIPTORS: libc::c_uint = 253 * 4;
    assert!(DESCRIPTORS as usize == MAX_FDS * size_of::<RawFd>());
    // SAFETY: the call computes a number from a number.
    unsafe { libc::CMSG_SPACE(DESCRIPTORS) as usize }
};

/// A control buffer, aligned as its headers are.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Takes the descriptors out of a message that has been received, and its control buffer.
fn take_descriptors(message: &libc::msghdr, control: &Control, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel has filled in the control buffer, and said how far.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: the pointer is null or points to a header in the control buffer.
    while let Some(header) = unsafe { next.as_ref() } {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the content follows the header, whose length covers both.
            let content = unsafe { libc::CMSG_DATA(next) };
            let start = content.addr() - control.0.as_ptr().addr();
            #[allow(
                clippy::unnecessary_cast,
                reason = "musl has another type for it than glibc"
            )]
            let length = header.cmsg_len as usize - (content.addr() - next.addr());
            for fd in control.0[start..start + length].chunks_exact(size_of::<RawFd>()) {
                let fd = RawFd::from_ne_bytes(
                    fd.try_into().expect("the chunk is as long as a descriptor"),
                );
                // SAFETY: the kernel has just put this descriptor into our table, and nobody else knows of it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: both are of one message.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
}
