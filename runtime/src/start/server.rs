//! The helper: a process of one thread that forks the children of its parent, and does nothing else.
//!
//! It holds no descriptor of its owner's but the socket on which it is asked, has `/` as its working directory and `/dev/null` as
//! its standard streams. It ends with its owner.

use super::birth::Birth;
use crate::{
    error::{Error, Result},
    sys::{
        board::Board,
        clone::{Cloner, Side},
        exit, limits, sentinel, signal, socket,
        wait::{self, For},
    },
};
use std::{
    env, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::parent_id,
    },
};

/// How much a request tells: the number on the board that the id of the child goes to. The child's socket is beside it.
pub(super) const REQUEST: usize = size_of::<u32>();

struct Server {
    requests: OwnedFd,
    owner: OwnedFd,
    board: Board,
    /// The error is what every request is answered with.
    cloner: io::Result<Cloner>,
}

/// Serves until the owner is gone. Returns in each child, with its socket.
pub(super) fn serve(fds: Vec<OwnedFd>) -> Result<OwnedFd> {
    let mut server =
        Server::new(fds).map_err(|source| Error::os("the helper cannot begin its work", source))?;
    // What goes wrong here goes wrong in the children too, who can tell.
    let _ = Birth::rehearse();
    let child = loop {
        if let Some(child) = server.next() {
            break child;
        }
    };
    // It is another process's, and not even mapped here.
    std::mem::forget(server.board);
    Ok(child)
}

impl Server {
    fn new(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let mut fds = fds.into_iter();
        let (Some(requests), Some(board)) = (fds.next(), fds.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        env::set_current_dir("/")?;
        limits::set_name("procession-fork")?;
        // What is typed at the terminal is meant for the owner, and so is every signal to the group. Children have the mask of
        // those who ask for them.
        signal::set_mask(signal::Mask::MAX)?;
        Ok(Self {
            requests,
            owner: sentinel::open_pidfd(parent_id())?,
            board: Board::open(board.as_fd())?,
            cloner: Cloner::new(),
        })
    }

    /// Waits for one request and forks its child. Returns the socket in the child.
    fn next(&mut self) -> Option<OwnedFd> {
        let waiting = [
            (self.requests.as_fd(), For::Reading),
            (self.owner.as_fd(), For::Reading),
        ];
        match wait::until_ready(&waiting, None).as_deref() {
            // A copy of the owner that a bare `fork` made may hold the socket open.
            Ok([_, true]) | Err(_) => exit::now(0),
            Ok(_) => {}
        }
        let (mut request, mut fds) = ([0; REQUEST], Vec::new());
        match socket::try_receive(self.requests.as_fd(), &mut request, &mut fds) {
            Ok(0) => exit::now(0),
            Ok(REQUEST) => {}
            // The socket of the child is closed by this, which tells who has asked.
            _ => return None,
        }
        let socket = fds.pop()?;
        let number = self.board.get(u32::from_le_bytes(request) as usize)?;
        let side = match &mut self.cloner {
            Ok(cloner) => cloner.fork(number),
            Err(error) => Err(io::Error::from_raw_os_error(
                error.raw_os_error().unwrap_or(libc::ENOSYS),
            )),
        };
        match side {
            Ok(Side::Child) => return Some(socket),
            Ok(Side::Parent) => {}
            Err(error) => number.leave_error(&error),
        }
        None
    }
}
