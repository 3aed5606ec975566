//! The helper, seen from its owner: started on first use, asked for children, replaced when it has died or when its owner has
//! become another.

use super::{
    birth::kind,
    heritage::{Changes, Heritage},
    newborn::{Newborn, Ward},
    parent::{STALL, is_end},
    settings::Settings,
    spawn,
};
use crate::{
    error::{Error, Result},
    sys::{
        board::{Board, Number},
        sentinel, socket,
        standing::{self, Standing},
        stdio,
    },
    wire::Line,
};
use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How often a start tries another helper before it goes without.
pub(super) const ATTEMPTS: usize = 3;

static STATE: Mutex<State> = Mutex::new(State {
    owner: 0,
    current: None,
    useless: false,
});

struct State {
    /// The process whose helper it is. A copy of it made by a bare `fork` needs one of its own.
    owner: u32,
    current: Option<Arc<Helper>>,
    /// Whether this machine does not let a helper do its work.
    useless: bool,
}

fn state() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let this = process::id();
    if state.owner != this {
        // What the copy has of it is not its own: neither the process nor the mapped board.
        std::mem::forget(state.current.take());
        state.owner = this;
    }
    state
}

/// A helper of this process. Dropping it ends it, when the last child asked of it has been seen.
#[derive(Debug)]
pub(super) struct Helper {
    /// Closed before the process is waited for: it is also ended by that.
    requests: OwnedFd,
    process: Ward,
    board: Board,
    /// The numbers on the board that no request uses.
    free: Mutex<Vec<u32>>,
    /// What its owner was when it was started, and therefore what it is.
    standing: Standing,
    heritage: Heritage,
}

/// One request to a helper: where the id of the child comes to stand.
#[derive(Debug)]
pub(super) struct Request {
    helper: Arc<Helper>,
    number: u32,
}

/// A child of the helper, and in what it has to change to be one of this thread.
pub(super) struct Made {
    pub(super) newborn: Newborn,
    pub(super) changes: Changes,
    /// The working directory that it is to have.
    pub(super) directory: OwnedFd,
}

/// Has a child forked by the helper; none where that cannot be done here.
pub(super) fn make(settings: &Settings) -> Result<Option<Made>> {
    if !sentinel::has_pidfds() {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        let Some(helper) = current()? else {
            return Ok(None);
        };
        // First the request, so that the helper works while we find out what to tell the child.
        let Some(newborn) = ask(&helper)? else {
            replace(&helper);
            continue;
        };
        // Without /proc there is no helper either, and running the executable anew tells why.
        let Ok((standing, dispositions)) = standing::read() else {
            return Ok(None);
        };
        let Ok(directory) = stdio::working_directory() else {
            return Ok(None);
        };
        let heritage = Heritage::now(dispositions)?;
        if standing != helper.standing || heritage.exceeds(&helper.heritage) {
            replace(&helper);
            continue;
        }
        let changes = heritage.since(&helper.heritage, settings);
        return Ok(Some(Made {
            newborn,
            changes,
            directory,
        }));
    }
    Ok(None)
}

/// Returns the helper of this process, started if there is none; none where it could not do its work.
fn current() -> Result<Option<Arc<Helper>>> {
    let mut state = state();
    if state.useless {
        return Ok(None);
    }
    if let Some(helper) = &state.current {
        return Ok(Some(Arc::clone(helper)));
    }
    let helper = Arc::new(Helper::start()?);
    state.current = Some(Arc::clone(&helper));
    Ok(Some(helper))
}

/// Has the next start use another helper than this.
pub(super) fn replace(helper: &Arc<Helper>) {
    let mut state = state();
    let is_this = |current: &Arc<Helper>| Arc::ptr_eq(current, helper);
    let old = state.current.take_if(|current| is_this(current));
    drop(state);
    // Outside of the lock: it may be the last, and be waited for.
    drop(old);
}

/// Has no helper used from now on: a filter does not let it fork.
pub(super) fn give_up() {
    let mut state = state();
    state.useless = true;
    let old = state.current.take();
    drop(state);
    drop(old);
}

/// Ends the helper process that the [`ForkServer`](crate::StartMethod::ForkServer) start method keeps; the next start of that method
/// begins another one.
///
/// The helper is a child of this process, though not among its [`children`](crate::children): a loop around `waitpid(-1)` that goes
/// on until there is no child left would wait for it. It ends with this process in any case.
///
/// # Examples
///
/// ```
/// use procession::{process, stop_helper};
///
/// #[process]
/// fn task() {}
///
/// task::spawn()?.join()?;
/// stop_helper();
/// # Ok::<(), procession::Error>(())
/// ```
pub fn stop_helper() {
    let old = state().current.take();
    drop(old);
}

/// Asks for a child; none if the helper is gone.
fn ask(helper: &Arc<Helper>) -> Result<Option<Newborn>> {
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    let Some(request) = Request::new(helper) else {
        return Ok(None);
    };
    let theirs = [theirs];
    let number = request.number.to_le_bytes();
    let line = Line {
        socket: helper.requests.as_fd(),
        peer: Some(helper.process.sentinel().as_fd()),
        stall: Some(STALL),
    };
    match line.send_some(&[IoSlice::new(&number)], &theirs) {
        Ok(_) => Ok(Some(Newborn::requested(request, ours))),
        Err(error) if is_end(&error) => Ok(None),
        Err(error) => Err(Error::os("the helper cannot be asked", error)),
    }
}

impl Helper {
    fn start() -> Result<Self> {
        let (standing, dispositions) = standing::read()
            .map_err(|source| Error::os("our own standing cannot be read", source))?;
        let heritage = Heritage::now(dispositions)?;
        let no_socket = |source| Error::os("no socket for the helper", source);
        let (ours, theirs) = socket::pair().map_err(no_socket)?;
        let (requests, served) = socket::packet_pair().map_err(no_socket)?;
        let (board, file) =
            Board::create().map_err(|source| Error::os("no memory for the helper", source))?;
        let child = spawn::launch_helper(&heritage.environment, theirs)?;
        let process = Ward::new(child.id(), None)?;
        let fds = [served, OwnedFd::from(file)];
        let line = Line {
            socket: ours.as_fd(),
            peer: Some(process.sentinel().as_fd()),
            stall: Some(STALL),
        };
        line.send(kind::SERVE, &[], &fds)
            .map_err(|source| Error::os("the helper cannot be talked to", source))?;
        Ok(Self {
            requests,
            process,
            board,
            free: Mutex::new((0..).take(Board::LENGTH).collect()),
            standing,
            heritage,
        })
    }

    fn free(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it at once, and what it has been asked for and not begun.
    pub(super) fn kill(&self) {
        // It is ours and has not been reaped, so that cannot fail.
        let _ = self.process.sentinel().signal(libc::SIGKILL);
    }
}

impl Request {
    /// None if there are as many on the way as there are numbers.
    fn new(helper: &Arc<Helper>) -> Option<Self> {
        let number = helper.free().pop()?;
        let request = Self {
            helper: Arc::clone(helper),
            number,
        };
        request.place().clear();
        Some(request)
    }

    fn place(&self) -> &Number {
        self.helper
            .board
            .get(self.number as usize)
            .expect("the numbers are those of the board")
    }

    /// What has become of it: the id of the child, or why there is none. None if it is still to be done, or if it will never be,
    /// since the helper has died.
    pub(super) fn outcome(&self) -> Option<io::Result<u32>> {
        self.place().outcome()
    }

    pub(super) fn helper(&self) -> &Arc<Helper> {
        &self.helper
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.helper.free().push(self.number);
    }
}
