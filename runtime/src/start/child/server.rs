//! The helper: a process of one thread that forks the children of its parent, and does nothing else.
//!
//! It holds no descriptor of its owner's but the socket on which it is asked, has `/` as its
//! working directory, `/dev/null` as its standard streams and no environment: what the owner
//! removes from its own is nowhere else. It ends with its owner.

use super::{arrival::Entered, rehearsal::rehearse};
use crate::{
    error::{Error, Result},
    start::message::request::{MORE_THREADS, Request, Wait},
    sys::{
        board::Board,
        clone::{Cloner, Side},
        environment, exit,
        fork::Threads,
        lifeline, limits, sentinel, signal, socket,
        wait::{self, For},
    },
};
use std::{
    env,
    io::{self, IoSliceMut},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::parent_id,
    },
    time::Duration,
};

/// What the helper is called where processes are listed, and what a spare is.
const NAME: &str = "procession-fork";
const IDLE_NAME: &str = "procession-idle";

/// How long a spare waits.
const IDLE: Duration = Duration::from_secs(10);

struct Server {
    requests: OwnedFd,
    owner: OwnedFd,
    board: Board,
    /// The error is what every request is answered with.
    cloner: io::Result<Cloner>,
    threads: Threads,
    /// Its end is that of this process, also while it is stopped.
    lifeline: OwnedFd,
}

/// Serves until the owner is gone. Returns in each child, with its socket.
pub(super) fn serve(fds: Vec<OwnedFd>, entered: Entered) -> Result<OwnedFd> {
    environment::give_up();
    let mut server =
        Server::new(fds).map_err(|source| Error::os("the helper cannot begin its work", source))?;
    // What goes wrong here goes wrong in the children too, who can tell.
    let _ = rehearse(NAME, entered);
    let (socket, wait) = loop {
        if let Some(child) = server.next() {
            break child;
        }
    };
    let Server {
        requests,
        owner,
        board,
        lifeline,
        ..
    } = server;
    // It is another process's, and not even mapped here.
    std::mem::forget(board);
    drop(requests);
    await_birth(&socket, (&owner, lifeline), wait, entered);
    Ok(socket)
}

impl Server {
    fn new(fds: Vec<OwnedFd>) -> io::Result<Self> {
        let mut fds = fds.into_iter();
        let (Some(requests), Some(board), Some(lifeline)) = (fds.next(), fds.next(), fds.next())
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        lifeline::arm(lifeline.as_fd())?;
        env::set_current_dir("/")?;
        limits::set_name(NAME)?;
        // What is typed at the terminal is meant for the owner, and so is every signal to the group. Children have the mask of
        // those who ask for them.
        signal::set_mask(signal::Mask::MAX)?;
        Ok(Self {
            requests,
            owner: sentinel::open_pidfd(parent_id())?,
            board: Board::open(board.as_fd())?,
            cloner: Cloner::new(),
            threads: Threads::of_this_process()?,
            lifeline,
        })
    }

    /// Waits for one request and forks its child. Returns the socket in the child.
    fn next(&mut self) -> Option<(OwnedFd, Wait)> {
        let waiting = [
            (self.requests.as_fd(), For::Reading),
            (self.owner.as_fd(), For::Reading),
        ];
        match wait::until_ready(&waiting, None).as_deref() {
            // A copy of the owner that a bare `fork` made may hold the socket open.
            Ok([_, true]) | Err(_) => exit::now(0),
            Ok(_) => {}
        }
        let (mut request, mut fds) = (Request::default(), Vec::new());
        match socket::try_receive(
            self.requests.as_fd(),
            &mut [IoSliceMut::new(&mut request)],
            &mut fds,
        ) {
            Ok(received) if received.bytes == 0 => exit::now(0),
            Ok(received) if received.bytes == request.len() && !received.is_short => {}
            // The socket of the child is closed by this, which tells who has asked.
            _ => return None,
        }
        let socket = fds.pop()?;
        let (number, wait) = request.split_first_chunk()?;
        let wait = if wait.iter().all(|byte| *byte == 0) {
            Wait::Ever
        } else {
            Wait::Idle
        };
        let number = self.board.get(u32::from_le_bytes(*number) as usize)?;
        let side = match &mut self.cloner {
            Ok(_) if self.threads.count() != Some(1) => {
                Err(io::Error::from_raw_os_error(MORE_THREADS))
            }
            Ok(cloner) => cloner.fork(number),
            Err(error) => Err(io::Error::from_raw_os_error(
                error.raw_os_error().unwrap_or(libc::ENOSYS),
            )),
        };
        match side {
            Ok(Side::Child) => return Some((socket, wait)),
            Ok(Side::Parent) => {}
            Err(error) => number.leave_error(&error),
        }
        None
    }
}

/// Waits until the owner has something to say to a child; ends it if there will be nothing.
fn await_birth(
    socket: &OwnedFd,
    (owner, lifeline): (&OwnedFd, OwnedFd),
    patience: Wait,
    entered: Entered,
) {
    let mut deadline = None;
    // Until it is told what it is.
    let mut tie = None;
    if patience == Wait::Idle {
        // Without it, one that is stopped stays when its owner is gone.
        tie = lifeline::tie_copy(lifeline.as_fd()).ok();
        deadline = wait::deadline(IDLE);
        // It would be taken for the helper else. The name is shown and no more.
        let _ = limits::set_name(IDLE_NAME);
        // If there is time, what is touched now is there later.
        if !socket::has_something(socket.as_fd()) {
            let _ = rehearse(IDLE_NAME, entered);
        }
    }
    drop(lifeline);
    let waiting = [
        (socket.as_fd(), For::Reading),
        (owner.as_fd(), For::Reading),
    ];
    let ready = wait::until_ready(&waiting, deadline);
    drop(tie);
    match ready.as_deref() {
        Ok([true, _]) => return,
        Ok([_, true]) | Err(_) => exit::now(0),
        Ok(_) => {}
    }
    // Nobody has wanted it. From here on nobody can; but somebody may have done so at the last moment.
    if socket::end_receiving(socket.as_fd()).is_err() || !socket::has_something(socket.as_fd()) {
        exit::now(0);
    }
}
