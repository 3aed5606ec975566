//! The children of the helper: forked on request, or in advance (spares).

use super::{
    helper::{Helper, Request},
    newborn::Newborn,
    stock::{self, Asked, Source, Stock},
};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        event::{self, Event},
        message::{
            heritage::{Changes, Heritage},
            request::{self, Wait},
        },
        patience::STALL,
    },
    sys::{
        board::Board,
        errno,
        fd::AsFd,
        per_process::{Owned, PerProcess},
        sentinel, socket, standing,
    },
    wire::{Line, is_end},
};
use std::sync::{Arc, MutexGuard};

pub(super) use stock::ATTEMPTS;

/// The most spares that can be asked for: they use a quarter of the numbers on the board.
const MOST_SPARES: usize = Board::LENGTH / 4;

static STOCK: PerProcess<Stock<Helper>> = PerProcess::new(Stock::new());

fn stock() -> MutexGuard<'static, Owned<Stock<Helper>>> {
    STOCK.lock(Stock::renew)
}

impl Source for Helper {
    type Child = Newborn;

    fn begin() -> Result<Option<Self>> {
        if standing::has_children_elsewhere() {
            return Ok(None);
        }
        for _ in 0..ATTEMPTS {
            match Self::start() {
                Ok(helper) => return Ok(Some(helper)),
                // Somebody has killed it, who may not kill the next one.
                Err(error) if error.kind() == ErrorKind::EndedEarly => {}
                // The file size limit is too small for the board, or there are too few descriptors
                // for a helper. The other start methods need no board and fewer descriptors.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(errno::EFBIG | errno::EMFILE | errno::ENFILE)
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn ask(this: &Arc<Self>, wait: Wait) -> Result<Asked<Newborn>> {
        let (ours, theirs) =
            socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
        let Some(request) = Request::new(this) else {
            return Ok(Asked::TooMuch);
        };
        let theirs = [theirs];
        let request_bytes = request::request(request.number, wait);
        let line = Line {
            peer: Some(this.process.sentinel().as_fd()),
            stall: Some(STALL),
            ..Line::on(this.requests.as_fd())
        };
        match line.send_packet(&request_bytes, &theirs) {
            Ok(()) => Ok(Asked::For(Newborn::requested(request, ours))),
            Err(error) if is_end(&error) => Ok(Asked::Nobody),
            Err(error) => Err(Error::os("the helper cannot be asked", error)),
        }
    }

    fn has_ended(child: &Newborn) -> bool {
        child.has_ended()
    }
}

pub(super) type Made = stock::Made<Helper>;

/// Lets the helper fork a child, or takes a spare. Returns `None` if no helper can do that here.
pub(super) fn make() -> Result<Option<Made>> {
    if !sentinel::has_pidfds() {
        return Ok(None);
    }
    let made = stock::make(stock)?;
    // The lock of the stock is released: a listener may do what it likes.
    if let Some(helper) = made.as_ref().map(|made| &made.helper)
        && helper.is_told_first()
    {
        event::tell(|| Event::HelperStarted {
            id: helper.process.sentinel().id(),
        });
    }
    Ok(made)
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

/// Asks for the spares that are missing. If that fails, the next start that needs one tries again.
pub(crate) fn replenish() {
    let old = stock().replenish();
    drop(old);
}

/// Makes the next start use another helper than this one.
pub(super) fn replace(helper: &Arc<Helper>) {
    let old = stock().replace(helper);
    drop(old);
}

/// Makes all starts do without a helper from now on. A filter does not let it fork.
pub(super) fn give_up() {
    let old = stock().give_up();
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
    let old = stock().clear();
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
/// Fails if the helper cannot be started. If a helper cannot do its work on this machine, or if the
/// system is not supported, no spare is kept, and that is no error.
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
    let old = stock().keep(count.min(MOST_SPARES), sentinel::has_pidfds())?;
    drop(old);
    replenish();
    Ok(())
}
