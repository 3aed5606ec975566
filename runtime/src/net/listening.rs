//! A listening socket, and its file.

use super::{Address, address::Unix, socket::Socket};
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{
    fs, io,
    net::TcpListener,
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::{self, Path, PathBuf},
    process,
};

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    pub(super) fn bind(address: &Address) -> io::Result<(Self, Option<SocketFile>)> {
        let unix = |address: Unix<'_>| UnixListener::bind_addr(&address.to_std()?).map(Self::Unix);
        match address {
            Address::Tcp(address) => Ok((Self::Tcp(TcpListener::bind(address)?), None)),
            Address::Abstract(name) => Ok((unix(Unix::Abstract(name))?, None)),
            Address::Unix(path) => {
                let socket = unix(Unix::Path(path))?;
                Ok((socket, Some(SocketFile::new(path)?)))
            }
        }
    }

    /// Makes accepting non-blocking: another thread or process may have taken the client that was
    /// announced.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    pub(super) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(socket) => socket.accept().map(|(socket, _)| Socket::Tcp(socket)),
            Self::Unix(socket) => socket.accept().map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl From<(OwnedFd, &Address)> for Listening {
    fn from((fd, address): (OwnedFd, &Address)) -> Self {
        match address {
            Address::Tcp(_) => Self::Tcp(fd.into()),
            Address::Unix(_) | Address::Abstract(_) => Self::Unix(fd.into()),
        }
    }
}

/// A socket file. Its creator removes it when this value is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode, because the path may name another file later.
    identity: (u64, u64),
    creator: u32,
}

impl SocketFile {
    /// Records the socket file that this process has just made at `path`.
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            identity: identity(path)?,
            // The working directory may change before the file is removed.
            path: path::absolute(path)?,
            creator: process::id(),
        })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = || identity(&self.path).is_ok_and(|found| found == self.identity);
        if process::id() == self.creator && is_own() {
            // Drop cannot report an error.
            let _ = fs::remove_file(&self.path);
        }
    }
}
