//! Bundles: sockets that hold descriptors, for messages with more descriptors than one packet can
//! carry.
//!
//! The kernel limits the descriptors of one packet (`SCM_MAX_FD`). Several packets for one message
//! could arrive in part. So if a message has more descriptors, they are put into new sockets, and
//! the other ends of these sockets go in the packet. The kernel keeps what is in such a socket
//! until a receiver takes it out, or until no process can reach the socket any more.

use crate::sys::{
    errno,
    fd::{AsFd, OwnedFd},
    socket::{self, MAX_FDS},
};
use std::io::{self, IoSlice, IoSliceMut};

/// The most descriptors that a packet carries without bundles.
pub(super) const MOST: usize = MAX_FDS;

/// Ties descriptors into bundles. Fails with `E2BIG` if one packet cannot carry all bundles.
pub(super) fn tie(fds: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    tie_by(MAX_FDS, fds)
}

fn tie_by(count: usize, fds: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    let mut bundles = Vec::new();
    let mut open: Option<OwnedFd> = None;
    for packet in fds.chunks(count) {
        if let Some(end) = &open {
            match send(end, packet) {
                Ok(()) => continue,
                // This bundle is full: start another one.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(end) = open.take() {
            socket::end_sending(end.as_fd())?;
        }
        let (end, bundle) = socket::packet_pair()?;
        send(&end, packet).map_err(|error| match error.kind() {
            // Even an empty socket has no room: a new bundle would not help.
            io::ErrorKind::WouldBlock => io::Error::from_raw_os_error(errno::ENOBUFS),
            _ => error,
        })?;
        bundles.push(bundle);
        open = Some(end);
    }
    if let Some(end) = open {
        // Closing is not enough: if another thread forks at this moment, the child holds a copy of
        // this end for a while.
        socket::end_sending(end.as_fd())?;
    }
    if bundles.len() > MOST {
        return Err(io::Error::from_raw_os_error(errno::E2BIG));
    }
    Ok(bundles)
}

fn send(end: &OwnedFd, fds: &[OwnedFd]) -> io::Result<()> {
    socket::try_send(end.as_fd(), &[IoSlice::new(&[0])], fds)?;
    Ok(())
}

/// Returns the descriptors in the bundles.
pub(super) fn untie(bundles: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    for bundle in bundles {
        loop {
            let mut byte = [0];
            let mut buffer = [IoSliceMut::new(&mut byte)];
            let received = socket::try_receive(bundle.as_fd(), &mut buffer, &mut fds);
            let received = received.map_err(|error| match error.raw_os_error() {
                // The sender still holds the other end, or the descriptor is not a bundle.
                Some(errno::EAGAIN | errno::ENOTSOCK) => io::ErrorKind::InvalidData.into(),
                _ => error,
            })?;
            if received.is_short {
                return Err(io::Error::from_raw_os_error(errno::EMFILE));
            }
            if received.bytes == 0 {
                break;
            }
        }
    }
    Ok(fds)
}

#[cfg(test)]
mod tests {
    use super::{tie, tie_by, untie};
    use std::{
        fs::File,
        io::ErrorKind,
        os::{
            fd::{AsFd, OwnedFd},
            unix::fs::MetadataExt,
        },
    };

    fn device(fd: OwnedFd) -> u64 {
        File::from(fd).metadata().unwrap().rdev()
    }

    #[test]
    fn what_is_tied_comes_out_in_order() {
        let files = ["/dev/null", "/dev/zero"].map(|name| File::open(name).unwrap());
        let devices = files.each_ref().map(|file| file.metadata().unwrap().rdev());
        // The last case has more packets than one socket has room for.
        for (count, packet) in [(0, 253), (1, 253), (600, 253), (800, 1)] {
            let places = || (0..count).map(|place| place / 3 % 2);
            let fds: Vec<_> = places()
                .map(|place: usize| files[place].as_fd().try_clone_to_owned().unwrap())
                .collect();
            let bundles = tie_by(packet, &fds).unwrap();
            assert!(bundles.len() > usize::from(packet == 1) || count == 0);
            let arrived = untie(bundles).unwrap().into_iter().map(device);
            assert!(arrived.eq(places().map(|place| devices[place])));
        }
    }

    #[test]
    fn only_a_bundle_is_untied() {
        let null = File::open("/dev/null").unwrap();
        let error = untie(vec![null.into()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let (one, _other) = crate::sys::socket::packet_pair().unwrap();
        assert_eq!(untie(vec![one]).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(tie(&[]).unwrap().is_empty());
    }
}
