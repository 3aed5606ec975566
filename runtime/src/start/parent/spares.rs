//! The children of the helper: forked on request, or in advance (spares).

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
    os::fd::AsFd,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many helpers a start tries before it does without one.
pub(super) const ATTEMPTS: usize = 3;

/// From how many starts on a spare is kept: such a program starts processes again and again.
const HABIT: u32 = 3;

/// The most spares that can be asked for: they use a quarter of the numbers on the board.
const MOST_SPARES: usize = Board::LENGTH / 4;

static STATE: Mutex<State> = Mutex::new(State {
    owner: 0,
    current: None,
    useless: false,
    starts: 0,
    wanted: None,
});

struct State {
    /// The id of the process that the helper belongs to. A copy of it that a bare `fork` made needs
    /// a helper of its own.
    owner: u32,
    current: Option<Current>,
    /// Whether a helper cannot do its work on this machine.
    useless: bool,
    starts: u32,
    /// How many spares to keep, if the user has set that.
    wanted: Option<usize>,
}

struct Current {
    helper: Arc<Helper>,
    /// Children that were asked for in advance. They wait for their births.
    spares: Vec<Newborn>,
}

fn state() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let this = process::id();
    if state.owner != this {
        // These are not the copy's own: the processes are not its children, and the board is not
        // mapped in it.
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
        if self.current.is_none() {
            self.current = Current::start()?;
        }
        Ok(self.current.as_mut())
    }

    fn target(&self) -> usize {
        let habitual = usize::from(self.starts >= HABIT);
        self.wanted.unwrap_or(habitual)
    }
}

impl Current {
    /// Starts a helper; `None` where it could not do its work.
    fn start() -> Result<Option<Self>> {
        if standing::has_children_elsewhere() {
            return Ok(None);
        }
        for _ in 0..ATTEMPTS {
            match Helper::start() {
                Ok(helper) => {
                    return Ok(Some(Self {
                        helper: Arc::new(helper),
                        spares: Vec::new(),
                    }));
                }
                // Somebody has killed it, who may not kill the next one.
                Err(error) if error.kind() == ErrorKind::EndedEarly => {}
                // The file size limit is too small for the board. The other start methods need no
                // board.
                Err(error) if error.raw_os_error() == Some(libc::EFBIG) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes out the spares that were not used in time and have ended. Dropping them reaps them.
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
    /// Whether it was forked before it was needed.
    pub(super) is_spare: bool,
}

/// Lets the helper fork a child, or takes a spare. Returns `None` if no helper can do that here.
pub(super) fn make() -> Result<Option<Made>> {
    if !sentinel::has_pidfds() {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        let Some((helper, spare)) = current()? else {
            return Ok(None);
        };
        let is_spare = spare.is_some();
        let newborn =
            match spare.map_or_else(|| ask(&helper, Wait::Ever), |it| Ok(Asked::For(it)))? {
                Asked::For(newborn) => newborn,
                Asked::Nobody => {
                    replace(&helper);
                    continue;
                }
                Asked::TooMuch => return Ok(None),
            };
        return Ok(Some(Made {
            newborn,
            helper,
            is_spare,
        }));
    }
    Ok(None)
}

/// Returns what a child of this helper must change, so that it becomes like a child of this thread.
pub(super) fn inheritance(helper: &Helper) -> Result<Changes, Unfit> {
    // Without /proc there is no helper either. Running the executable anew then reports why.
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
    /// This process has changed so much since the helper was started that the child cannot follow.
    Stale,
    /// It cannot be found out what this process is now.
    Unknown,
    Failed(Error),
}

/// Returns the helper of this process, which is started if there is none, and a spare if there is
/// one. Returns `None` if a helper could not do its work.
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
    // The first one was asked for first, and is the most ready.
    let spare = (!current.spares.is_empty()).then(|| current.spares.remove(0));
    drop(state);
    drop(ended);
    Ok(Some((helper, spare)))
}

/// Asks for the spares that are missing. If that fails, the next start that needs one tries again.
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
            Ok(Asked::For(spare)) => current.spares.push(spare),
            Ok(Asked::Nobody) => {
                dead = state.current.take();
                break;
            }
            Ok(Asked::TooMuch) | Err(_) => break,
        }
    }
    drop(state);
    drop((ended, dead));
}

/// Makes the next start use another helper than this one.
pub(super) fn replace(helper: &Arc<Helper>) {
    let mut state = state();
    let is_this = |current: &mut Current| Arc::ptr_eq(&current.helper, helper);
    let old = state.current.take_if(is_this);
    drop(state);
    // Outside of the lock: if this is the last owner of the helper, dropping it waits for its end.
    drop(old);
}

/// Makes all starts do without a helper from now on. A filter does not let it fork.
pub(super) fn give_up() {
    let mut state = state();
    state.useless = true;
    let old = state.current.take();
    drop(state);
    drop(old);
}

/// Ends the helper process of the [`ForkServer`](crate::StartMethod::ForkServer) start method, and
/// its spares. The next start by that method starts another helper.
///
/// Call it after a change of this process that the next children are to have and that the start
/// method does not notice, such as another I/O priority.
/// [`ForkServer`](crate::StartMethod::ForkServer) lists these changes.
///
/// The helper is a child of this process, but not among its [`children`](crate::children). A loop
/// around `waitpid(-1)` that goes on until there is no child left would wait for the helper. The
/// helper ends with this process in any case.
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

/// Keeps `count` spares from now on, so that a start by the
/// [`ForkServer`](crate::StartMethod::ForkServer) method does not wait for a fork.
///
/// A spare is a child that is forked already and waits to be told what to run. This function starts
/// the helper if there is none. It does not wait for the spares.
///
/// The helper replaces a used spare at once, while this process goes on. A spare that is not used
/// for ten seconds ends, and the next start replaces it. At most 256 spares are kept. By default
/// one is kept, from the third start on. With a `count` of zero none is kept.
///
/// Spares are children of this process, but not among its [`children`](crate::children). A process
/// that was made of a spare is like any other, except for the time at which it began.
///
/// # Errors
///
/// Fails if the helper cannot be started. If a helper cannot do its work on this machine, no spare
/// is kept, and that is no error.
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

/// What came of asking a helper for a child.
enum Asked {
    For(Newborn),
    /// The helper is gone.
    Nobody,
    /// The helper has as many requests as it can have.
    TooMuch,
}

/// Asks the helper for a child.
fn ask(helper: &Arc<Helper>, wait: Wait) -> Result<Asked> {
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    let Some(request) = Request::new(helper) else {
        return Ok(Asked::TooMuch);
    };
    let theirs = [theirs];
    let request_bytes = request::request(request.number, wait);
    let line = Line {
        peer: Some(helper.process.sentinel().as_fd()),
        stall: Some(STALL),
        ..Line::on(helper.requests.as_fd())
    };
    match line.send_packet(&request_bytes, &theirs) {
        Ok(()) => Ok(Asked::For(Newborn::requested(request, ours))),
        Err(error) if is_end(&error) => Ok(Asked::Nobody),
        Err(error) => Err(Error::os("the helper cannot be asked", error)),
    }
}
