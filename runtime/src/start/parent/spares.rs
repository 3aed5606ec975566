//! The children that the helper makes: on request, and in advance.

use super::{
    helper::{Helper, Request},
    newborn::Newborn,
};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        message::{
            heritage::{Changes, Heritage},
            request::{self, Wait},
        },
        patience::STALL,
    },
    sys::{board::Board, sentinel, socket, standing},
    wire::{Line, is_end},
};
use std::{
    io::IoSlice,
    os::fd::AsFd,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How often a start tries another helper before it goes without.
pub(super) const ATTEMPTS: usize = 3;

/// How many starts make a program one that starts processes again and again, for which a spare is kept.
const HABIT: u32 = 3;

/// How many spares can be asked for: a quarter of what there is place for on the board.
const MOST_SPARES: usize = Board::LENGTH / 4;

static STATE: Mutex<State> = Mutex::new(State {
    owner: 0,
    current: None,
    useless: false,
    starts: 0,
    wanted: None,
});

struct State {
    /// The process whose helper it is. A copy of it made by a bare `fork` needs one of its own.
    owner: u32,
    current: Option<Current>,
    /// Whether this machine does not let a helper do its work.
    useless: bool,
    starts: u32,
    /// How many spares are to be kept, if somebody has said so.
    wanted: Option<usize>,
}

struct Current {
    helper: Arc<Helper>,
    /// Children that it was asked for in advance. They wait to be told what they are.
    spares: Vec<Newborn>,
}

fn state() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let this = process::id();
    if state.owner != this {
        // What the copy has of it is not its own: neither the processes nor the mapped board.
        std::mem::forget(state.current.take());
        state.owner = this;
        state.starts = 0;
    }
    state
}

impl State {
    /// Returns the helper, started if there is none; `None` where it could not do its work as
    /// things are.
    fn begin(&mut self) -> Result<Option<&mut Current>> {
        let current = match self.current.take() {
            Some(current) => current,
            None if standing::has_children_elsewhere() => return Ok(None),
            None => Current {
                helper: Arc::new(Helper::start()?),
                spares: Vec::new(),
            },
        };
        Ok(Some(self.current.insert(current)))
    }

    fn target(&self) -> usize {
        let habitual = usize::from(self.starts >= HABIT);
        self.wanted.unwrap_or(habitual)
    }
}

impl Current {
    /// Takes out the spares that were not used in time and have ended, to be reaped.
    fn ended_spares(&mut self) -> Vec<Newborn> {
        self.spares
            .extract_if(.., |spare| spare.has_ended())
            .collect()
    }
}

/// A child that the helper makes or has made.
pub(super) struct Made {
    pub(super) newborn: Newborn,
    pub(super) helper: Arc<Helper>,
    /// Whether it was there before it was wanted.
    pub(super) is_spare: bool,
}

/// Has a child forked by the helper; none where that cannot be done here.
pub(super) fn make() -> Result<Option<Made>> {
    if !sentinel::has_pidfds() {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        let (helper, spare) = match current() {
            Ok(Some(current)) => current,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::EndedEarly => continue,
            // Where no file may be long there is no board, which the other methods do without.
            Err(error) if error.raw_os_error() == Some(libc::EFBIG) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_spare = spare.is_some();
        let newborn = spare.map_or_else(|| ask(&helper, Wait::Ever), |spare| Ok(Some(spare)))?;
        let Some(newborn) = newborn else {
            replace(&helper);
            continue;
        };
        return Ok(Some(Made {
            newborn,
            helper,
            is_spare,
        }));
    }
    Ok(None)
}

/// Returns in what a child of this helper has to change, to be as a child of this thread would be by
/// now.
pub(super) fn inheritance(helper: &Helper) -> Result<Changes, Unfit> {
    // Without /proc there is no helper either, and running the executable anew tells why.
    let (standing, dispositions) = standing::read().map_err(|_| Unfit::Unknown)?;
    let heritage = Heritage::now(dispositions).map_err(Unfit::Failed)?;
    let is_visible = || standing::may_look_at(helper.process.sentinel().id());
    let same = standing == helper.standing && (!helper.was_visible || is_visible());
    if !same || heritage.exceeds(&helper.heritage) {
        return Err(Unfit::Stale);
    }
    Ok(heritage.since(&helper.heritage))
}

/// Why a child of a helper cannot become one of this thread.
pub(super) enum Unfit {
    /// This process is another than when the helper was started.
    Stale,
    /// What this process is cannot be found out.
    Unknown,
    Failed(Error),
}

/// Returns the helper of this process, started if there is none, and a spare if it has one; none where it could not do its work.
fn current() -> Result<Option<(Arc<Helper>, Option<Newborn>)>> {
    let mut state = state();
    if state.useless {
        return Ok(None);
    }
    state.starts = state.starts.saturating_add(1);
    let Some(current) = state.begin()? else {
        return Ok(None);
    };
    let ended = current.ended_spares();
    let helper = Arc::clone(&current.helper);
    // The one that was asked for first is the readiest.
    let spare = (!current.spares.is_empty()).then(|| current.spares.remove(0));
    drop(state);
    drop(ended);
    Ok(Some((helper, spare)))
}

/// Asks for as many spares as are to be kept and are not there. What fails is tried again by the start that needs it.
pub(crate) fn replenish() {
    let mut state = state();
    let target = state.target();
    let Some(current) = &mut state.current else {
        return;
    };
    if target == 0 && current.spares.is_empty() {
        return;
    }
    let ended = current.ended_spares();
    let mut dead = None;
    while current.spares.len() < target {
        match ask(&current.helper, Wait::Idle) {
            Ok(Some(spare)) => current.spares.push(spare),
            Ok(None) => {
                dead = state.current.take();
                break;
            }
            Err(_) => break,
        }
    }
    drop(state);
    drop((ended, dead));
}

/// Has the next start use another helper than this.
pub(super) fn replace(helper: &Arc<Helper>) {
    let mut state = state();
    let is_this = |current: &mut Current| Arc::ptr_eq(&current.helper, helper);
    let old = state.current.take_if(is_this);
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

/// Ends the helper process that the [`ForkServer`](crate::StartMethod::ForkServer) start method keeps, and its spares; the next start of
/// that method begins another one.
///
/// Call it after a change of this process that the next children are to have and that the start
/// method does not notice, such as another I/O priority:
/// [`ForkServer`](crate::StartMethod::ForkServer) lists them.
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

/// Keeps `count` spares from now on: children that are forked already and wait to be told what they are, so that a start by the
/// [`ForkServer`](crate::StartMethod::ForkServer) method need not wait for its process to be made. Starts the helper if there is none.
///
/// A spare that was used is replaced at once, by the helper and beside the work of this process. One that is not used for ten
/// seconds ends, and is made again with the next start. At most 256 are kept. By default there is one, from the third start on;
/// with zero there is none.
///
/// Spares are children of this process, though not among its [`children`](crate::children), and a process made of one is like any
/// other, but for the time at which it began.
///
/// # Errors
///
/// When the helper cannot be started. Where this machine lets no helper do its work nothing is kept, and that is no error.
///
/// # Examples
///
/// ```
/// use procession::{prewarm, process};
///
/// #[process]
/// fn double(n: u32) -> u32 {
///     2 * n
/// }
///
/// prewarm(4)?;
/// let children: Vec<_> = (0..4).map(double::spawn).collect::<Result<_, _>>()?;
/// let doubled: Vec<_> = procession::join_all(children).into_iter().collect::<Result<_, _>>()?;
/// assert_eq!(doubled, [0, 2, 4, 6]);
/// # Ok::<(), procession::Error>(())
/// ```
pub fn prewarm(count: usize) -> Result<()> {
    let mut state = state();
    state.wanted = Some(count.min(MOST_SPARES));
    let surplus = state.current.as_mut().map(|current| {
        let kept = current.spares.len().min(count);
        current.spares.split_off(kept)
    });
    if count > 0 && !state.useless && sentinel::has_pidfds() {
        state.begin()?;
    }
    drop(state);
    drop(surplus);
    replenish();
    Ok(())
}

/// Asks for a child; none if the helper is gone.
fn ask(helper: &Arc<Helper>, wait: Wait) -> Result<Option<Newborn>> {
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    let Some(request) = Request::new(helper) else {
        return Ok(None);
    };
    let theirs = [theirs];
    let request_bytes = request::request(request.number, wait);
    let line = Line {
        peer: Some(helper.process.sentinel().as_fd()),
        stall: Some(STALL),
        ..Line::on(helper.requests.as_fd())
    };
    match line.send_some(&[IoSlice::new(&request_bytes)], &theirs) {
        Ok(_) => Ok(Some(Newborn::requested(request, ours))),
        Err(error) if is_end(&error) => Ok(None),
        Err(error) => Err(Error::os("the helper cannot be asked", error)),
    }
}
