//! What stands for descriptors on a system without them. A borrowed one can be had of everything
//! that has one on other systems, and nothing can be done with it. None can be owned.

use super::unsupported;
use std::{convert::Infallible, fs, io, marker::PhantomData, net, process};

/// A descriptor, which nothing has here.
#[derive(Debug)]
pub struct OwnedFd(Infallible);

/// Stands for the descriptor of something else.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedFd<'fd>(PhantomData<&'fd OwnedFd>);

/// Types that have a descriptor on other systems.
pub trait AsFd {
    /// Returns what stands for the descriptor.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

impl OwnedFd {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self.0 {}
    }
}

impl BorrowedFd<'_> {
    pub(crate) fn try_clone_to_owned(&self) -> io::Result<OwnedFd> {
        unsupported()
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}

impl<T: AsFd + ?Sized> AsFd for &T {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

macro_rules! have_one {
    ($($ty:ty,)*) => { $(
        impl AsFd for $ty {
            fn as_fd(&self) -> BorrowedFd<'_> {
                BorrowedFd(PhantomData)
            }
        }
    )* };
}

macro_rules! own_one {
    ($($ty:ty,)*) => { $(
        impl From<OwnedFd> for $ty {
            fn from(fd: OwnedFd) -> Self {
                match fd.0 {}
            }
        }

        have_one!($ty,);
    )* };
}

own_one! {
    fs::File,
    io::PipeReader,
    io::PipeWriter,
    net::TcpListener,
    net::TcpStream,
    net::UdpSocket,
    process::ChildStderr,
    process::ChildStdin,
    process::ChildStdout,
}

have_one! {
    BorrowedFd<'_>,
    io::Stderr,
    io::Stdin,
    io::Stdout,
}
