//! The helper: a process of one thread that does nothing but fork the children of its parent, which
//! is its owner.
//!
//! It holds no descriptor of its owner's except the socket for requests. Its working directory is
//! `/`, its standard streams are `/dev/null`, and it has no environment. So what the owner removes
//! from its own environment is nowhere else. The helper ends with its owner.

use super::{arrival::Entered, rehearsal::rehearse};
use crate::{
    error::{Error, Result},
    start::message::request::{MORE_THREADS, Request, Wait},
    sys::{
        alone::{Alone, Threads},
        board::Board,
        clone::{Cloner, Side},
        environment, errno, exit,
        fd::{AsFd, OwnedFd},
        lifeline, limits, own, sentinel, signal, socket,
        wait::{self, For},
    },
};
use std::{
    env,
    io::{self, IoSliceMut},
    time::Duration,
};

/// The names of the helper and of a spare in lists of processes.
const NAME: &str = "procession-fork";
const IDLE_NAME: &str = "procession-idle";

/// How long a spare waits for its birth.
const IDLE: Duration = Duration::from_secs(10);

struct Server {
    requests: OwnedFd,
    owner: OwnedFd,
    board: Board,
    /// If this is an error, it answers every request.
    cloner: io::Result<Cloner>,
    threads: Threads,
    /// When the last writer of this pipe is gone, the kernel kills this process, even if it is
    /// stopped.
    lifeline: OwnedFd,
}

/// Serves requests until the owner is gone. Returns only in each child, with the socket of that
/// child.
pub(super) fn serve(fds: Vec<OwnedFd>, entered: Entered) -> Result<(OwnedFd, Alone)> {
    // If a library has started a thread, no request is served.
    let alone = Alone::check().ok().flatten();
    if let Some(alone) = &alone {
        environment::give_up(alone);
    }
    let mut server =
        Server::new(fds).map_err(|source| Error::os("the helper cannot begin its work", source))?;
    // What fails here fails in the children too, and they can report it.
    if let Some(alone) = &alone {
        let _ = rehearse(NAME, entered, alone);
    }
    let (socket, wait, alone) = loop {
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
    // The board belongs to the helper. Here, in the child, it is not mapped.
    std::mem::forget(board);
    drop(requests);
    await_birth(&socket, (&owner, lifeline), wait, (entered, &alone));
    Ok((socket, alone))
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
        // Signals from the terminal, and to the process group, are meant for the owner. A child
        // gets the mask of the thread that asks for it.
        signal::set_mask(signal::Mask::MAX)?;
        Ok(Self {
            requests,
            owner: sentinel::open_pidfd(own::parent_id())?,
            board: Board::open(board.as_fd())?,
            cloner: Cloner::new(),
            threads: Threads::of_this_process()?,
            lifeline,
        })
    }

    /// Waits for one request and forks its child. Returns the socket of the child, in the child
    /// only.
    fn next(&mut self) -> Option<(OwnedFd, Wait, Alone)> {
        let waiting = [
            (self.requests.as_fd(), For::Reading),
            (self.owner.as_fd(), For::Reading),
        ];
        match wait::until_ready(&waiting, None).as_deref() {
            // The end of the owner is watched too: a copy of the owner that a bare `fork` made may
            // hold the socket open.
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
            // This closes the socket of the child, and the owner sees that.
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
        let forked = match (&mut self.cloner, self.threads.alone()) {
            (Ok(cloner), Some(alone)) => cloner.fork(number, &alone).map(|side| (side, alone)),
            (Ok(_), None) => Err(io::Error::from_raw_os_error(MORE_THREADS)),
            (Err(error), _) => Err(io::Error::from_raw_os_error(
                error.raw_os_error().unwrap_or(errno::ENOSYS),
            )),
        };
        match forked {
            Ok((Side::Child, alone)) => return Some((socket, wait, alone)),
            Ok((Side::Parent, _)) => {}
            Err(error) => number.leave_error(&error),
        }
        None
    }
}

/// Waits until the owner sends something to a child. Ends the process if nothing will come.
fn await_birth(
    socket: &OwnedFd,
    (owner, lifeline): (&OwnedFd, OwnedFd),
    patience: Wait,
    (entered, alone): (Entered, &Alone),
) {
    let mut deadline = None;
    // Dropped as soon as the wait is over.
    let mut tie = None;
    if patience == Wait::Idle {
        // Without the tie, a stopped spare would outlive its owner.
        tie = lifeline::tie_copy(lifeline.as_fd()).ok();
        deadline = wait::deadline(IDLE);
        // Otherwise lists of processes would show a second helper. The name has no other use, so an
        // error does no harm.
        let _ = limits::set_name(IDLE_NAME);
        // If there is time, the memory that a child needs is touched now and not after the birth.
        if !socket::has_something(socket.as_fd()) {
            let _ = rehearse(IDLE_NAME, entered, alone);
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
    // The time is over, and no birth has come. From here on none can come. But one may have come at
    // the last moment: then the spare lives on.
    if socket::end_receiving(socket.as_fd()).is_err() || !socket::has_something(socket.as_fd()) {
        exit::now(0);
    }
}
