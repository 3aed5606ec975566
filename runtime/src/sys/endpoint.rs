//! Sockets that listen at an address, and sockets that connect to one, as far as std lacks them.

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt,
            listen, recv, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};
use std::{
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    time::{Duration, Instant},
};

/// Sets how many connections may wait to be accepted, for a socket that already listens.
pub(crate) fn set_backlog(socket: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).map(Backlog::new);
    // The kernel reduces a number that is too large to the same maximum.
    Ok(listen(
        &socket,
        backlog
            .unwrap_or(Ok(Backlog::MAXCONN))
            .unwrap_or(Backlog::MAXCONN),
    )?)
}

/// Whether a descriptor is a stream socket.
pub(crate) fn is_stream(fd: BorrowedFd<'_>) -> bool {
    getsockopt(&fd, sockopt::SockType) == Ok(SockType::Stream)
}

/// Connects to a Unix socket. If the listener has no room for another connection, blocks until
/// there is room. Fails with `TimedOut` after the deadline.
pub(crate) fn connect_unix(
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<UnixStream> {
    let address = match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => UnixAddr::new(path)?,
        (None, Some(name)) => UnixAddr::new_abstract(name)?,
        (None, None) => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let socket = unix_socket()?;
    loop {
        // There is no event to poll for, but the call itself blocks as long as a send may.
        let left = match deadline.map(|deadline| deadline.checked_duration_since(Instant::now())) {
            Some(Some(left)) => left.max(Duration::from_micros(1)),
            Some(None) => return Err(io::ErrorKind::TimedOut.into()),
            None => Duration::ZERO,
        };
        setsockopt(&socket, sockopt::SendTimeout, &time_value(left))?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    setsockopt(&socket, sockopt::SendTimeout, &time_value(Duration::ZERO))?;
    Ok(socket.into())
}

/// Returns the address of an abstract name.
pub(crate) fn from_abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

/// Returns the abstract name, if it is the address of one.
pub(crate) fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    address.as_abstract_name()
}

fn unix_socket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

/// Returns the duration in the form that the kernel takes. Zero means no limit there, and so does a
/// duration that is longer than the kernel can count.
fn time_value(duration: Duration) -> TimeVal {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    TimeVal::new(seconds, duration.subsec_micros().into())
}

/// Receives some bytes into `buffer`. Returns how many; zero is the end. Never blocks: fails with
/// `EAGAIN` if nothing is there. Descriptors that arrive with them are not accepted: the kernel
/// closes them.
pub(crate) fn try_receive_bytes(from: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(from.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{connect_unix, set_backlog};
    use std::{
        io,
        os::{
            fd::AsFd,
            linux::net::SocketAddrExt,
            unix::net::{SocketAddr, UnixListener},
        },
        time::{Duration, Instant},
    };

    #[test]
    fn full_listener_is_waited_for_until_the_deadline() {
        let address = SocketAddr::from_abstract_name("procession: a full listener").unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        set_backlog(listener.as_fd(), 0).unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        let _first = connect_unix(&address, soon()).unwrap();
        let error = connect_unix(&address, soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        listener.accept().unwrap();
        connect_unix(&address, soon()).unwrap();
    }
}
