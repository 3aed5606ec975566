//! A pair of connected sockets that carry bytes and descriptors:
//! [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).

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

/// The most descriptors that one message can carry: the kernel's `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

/// Creates a pair of connected stream sockets, closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Creates a pair of connected sockets that keep messages whole, closed on exec.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Ends sending from this side. The other side reads an end after what was sent before.
pub(crate) fn end_sending(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(
        socket.as_raw_fd(),
        socket::Shutdown::Write,
    )?)
}

/// Whether something can be received, which the end is not.
pub(crate) fn has_something(socket: BorrowedFd<'_>) -> bool {
    matches!(peek(socket), Ok(true))
}

/// Returns true if something can be received, and false if the end has come. Never blocks: fails
/// with `EAGAIN` if neither is there.
pub(crate) fn peek(socket: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(peek_into(socket, &mut [0])? != 0)
}

/// Returns how many bytes there is room for while nobody receives. The kernel counts its own bytes
/// too, so this is half of its number.
pub(crate) fn room(socket: BorrowedFd<'_>) -> usize {
    getsockopt(&socket, sockopt::SndBuf).unwrap_or(0) / 2
}

/// Whether the other side has received everything that was sent.
pub(crate) fn is_read(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut unread: libc::c_int = 0;
    // SAFETY: the result is a valid place to write to. For a socket this is `SIOCOUTQ`.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) })?;
    Ok(unread == 0)
}

/// Blocks until something can be received or the end has come, without a deadline. Does what poll
/// does, in less time. Fails with `EAGAIN` if somebody has made the socket nonblocking.
pub(crate) fn wait_for_something(socket: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match socket::recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK) {
            Err(Errno::EINTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Copies the bytes that are to be received next, and leaves them there. Returns how many; zero is
/// the end. Never blocks: fails with `EAGAIN` if nothing is there.
pub(crate) fn peek_into(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    loop {
        match socket::recv(socket.as_raw_fd(), buffer, flags) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Ends receiving on this side. Whatever the other side sends from now on fails. What has arrived
/// before can still be received.
pub(crate) fn end_receiving(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(
        socket.as_raw_fd(),
        socket::Shutdown::Read,
    )?)
}

/// The process that created the socket pair, and its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Creator {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

/// Returns who created the other end, or `None` if the descriptor is no stream socket. If the
/// kernel knows no peer of a stream socket, the process id is zero. Fails if that may not be asked.
pub(crate) fn creator(fd: BorrowedFd<'_>) -> io::Result<Option<Creator>> {
    match getsockopt(&fd, sockopt::SockType) {
        Ok(SockType::Stream) => {}
        Ok(_) | Err(Errno::ENOTSOCK | Errno::EBADF) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let credentials = getsockopt(&fd, sockopt::PeerCredentials)?;
    Ok(Some(Creator {
        pid: u32::try_from(credentials.pid()).unwrap_or(0),
        uid: credentials.uid(),
    }))
}

/// Sends some of the bytes, and all of the descriptors together with the first byte. Returns how
/// many bytes were sent.
///
/// Never blocks: fails with `EAGAIN` if there is no room. If the peer is dead, fails with `EPIPE`
/// or `ECONNRESET`, without SIGPIPE.
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

/// What was received from a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// How many bytes arrived; zero is the end.
    pub(crate) bytes: usize,
    /// Whether a descriptor that was sent with them did not fit into our table.
    pub(crate) is_short: bool,
}

/// Receives some bytes into the buffers. Appends the descriptors that arrived with them, if they
/// fit into our table. Never blocks: fails with `EAGAIN` if nothing is there.
pub(crate) fn try_receive(
    from: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    // nix's own function loses the descriptors that did fit, if the table is full.
    let mut control = Control([0; CONTROL]);
    // SAFETY: `msghdr` is a plain C struct, for which all zeros are a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // `IoSliceMut` has the form of `iovec`.
    message.msg_iov = buffers.as_mut_ptr().cast();
    message.msg_iovlen = buffers.len() as _;
    message.msg_control = (&raw mut control.0).cast();
    message.msg_controllen = CONTROL as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let bytes = loop {
        // SAFETY: the message points to buffers and to a control buffer, each with its length. All
        // are ours to write to.
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

/// Receives some bytes into memory that need not be initialised. Returns how many; zero is the end.
/// Never blocks: fails with `EAGAIN` if nothing is there.
///
/// Descriptors that arrive with the bytes are closed.
pub(crate) fn try_receive_into(
    from: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    loop {
        // SAFETY: the buffer is ours to write to, and has the length that is passed.
        let received = unsafe { libc::recv(from.as_raw_fd(), start, length, libc::MSG_DONTWAIT) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?.cast_unsigned()),
        }
    }
}

/// Enlarges the send buffer, as far as the system allows, so that more bytes can be on their way at
/// once.
pub(crate) fn widen(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SndBuf, &WIDE)?)
}

/// In bytes. A larger buffer did not help when it was measured.
const WIDE: usize = 1 << 20;

/// The size of the descriptors of one message in its control buffer, in bytes.
const CONTROL: usize = {
    const DESCRIPTORS: libc::c_uint = 253 * 4;
    assert!(DESCRIPTORS as usize == MAX_FDS * size_of::<RawFd>());
    // SAFETY: the call computes a number from a number.
    unsafe { libc::CMSG_SPACE(DESCRIPTORS) as usize }
};

/// A control buffer that is aligned as its headers are.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Takes the descriptors out of a message that has been received, and out of its control buffer.
fn take_descriptors(message: &libc::msghdr, control: &Control, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel has filled in the control buffer, and the message says how far.
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
                // SAFETY: the kernel has just put this descriptor into our table, and nobody else
                // knows of it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: both are of the same message.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
}
