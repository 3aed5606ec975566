//! A pair of connected sockets, over which bytes and descriptors travel: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        self, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
        getsockopt, sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
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

/// Receives some bytes into `buffer`, and appends the descriptors that came beside them; returns how many bytes came, none
/// being the end. Never waits: nothing there is `EAGAIN`.
pub(crate) fn try_receive(
    from: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut control = cmsg_space!([RawFd; MAX_FDS]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let message =
            match socket::recvmsg::<()>(from.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                Err(Errno::EINTR) => continue,
                result => result?,
            };
        for rights in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = rights {
                fds.extend(received.into_iter().map(|fd| {
                    // SAFETY: the kernel has just put this descriptor into our table, and nobody else knows of it.
                    unsafe { OwnedFd::from_raw_fd(fd) }
                }));
            }
        }
        if message.flags.contains(MsgFlags::MSG_CTRUNC) {
            // The kernel could not give us a descriptor that was sent: our table is full.
            return Err(Errno::EMFILE.into());
        }
        return Ok(message.bytes);
    }
}
