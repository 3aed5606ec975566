//! The helper in use and its spares: which of them a start gets, and when another helper takes
//! their place.

use crate::{error::Result, start::message::request::Wait, sys::per_process::Owned};
use std::sync::{Arc, MutexGuard};

/// How many helpers a start tries before it does without one.
pub(super) const ATTEMPTS: usize = 3;

/// From how many starts on a spare is kept: such a program starts processes again and again.
const HABIT: u32 = 3;

/// What makes children on request. In tests it makes none.
pub(super) trait Source: Sized {
    type Child;

    /// Starts a source. Returns `None` if it could not do its work.
    fn begin() -> Result<Option<Self>>;

    /// Asks for a child.
    fn ask(this: &Arc<Self>, wait: Wait) -> Result<Asked<Self::Child>>;

    /// Whether the child is known to have ended.
    fn has_ended(child: &Self::Child) -> bool;
}

/// What came of asking a helper for a child.
pub(super) enum Asked<T> {
    For(T),
    /// The helper is gone.
    Nobody,
    /// The helper has as many requests as it can have.
    TooMuch,
}

/// A child that the helper makes or has made.
pub(super) struct Made<S: Source> {
    pub(super) newborn: S::Child,
    pub(super) helper: Arc<S>,
    /// Whether it was forked before it was needed.
    pub(super) is_spare: bool,
}

/// What was taken out of the stock. Drop it after the lock is released: dropping a spare, or the
/// last owner of a helper, waits for the end of a process.
#[must_use]
pub(super) struct Old<S: Source> {
    _current: Option<Current<S>>,
    _spares: Vec<S::Child>,
}

pub(super) struct Stock<S: Source> {
    current: Option<Current<S>>,
    /// Whether a helper cannot do its work on this machine.
    useless: bool,
    starts: u32,
    /// How many spares to keep, if the user has set that.
    wanted: Option<usize>,
}

struct Current<S: Source> {
    helper: Arc<S>,
    /// Children that were asked for in advance. They wait for their births.
    spares: Vec<S::Child>,
}

/// Lets the helper make a child, or takes a spare. Returns `None` if no helper can do that here.
pub(super) fn make<'a, S: Source + 'a>(
    lock: impl Fn() -> MutexGuard<'a, Owned<Stock<S>>>,
) -> Result<Option<Made<S>>> {
    for _ in 0..ATTEMPTS {
        let taken = lock().take()?;
        let Some((helper, spare, old)) = taken else {
            return Ok(None);
        };
        drop(old);
        let is_spare = spare.is_some();
        let asked = match spare {
            Some(spare) => Asked::For(spare),
            None => S::ask(&helper, Wait::Ever)?,
        };
        let newborn = match asked {
            Asked::For(newborn) => newborn,
            Asked::Nobody => {
                let old = lock().replace(&helper);
                drop(old);
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

impl<S: Source> Stock<S> {
    pub(super) const fn new() -> Self {
        Self {
            current: None,
            useless: false,
            starts: 0,
            wanted: None,
        }
    }

    /// Forgets what belongs to the process that this one is a copy of.
    pub(super) fn renew(&mut self) {
        // The processes are not the copy's children, and the board is not mapped in the copy.
        std::mem::forget(self.current.take());
        self.starts = 0;
    }

    /// Takes the helper for a start, which is started if there is none, and a spare if there is
    /// one. Returns `None` if a helper could not do its work.
    #[expect(clippy::type_complexity, reason = "the three are taken apart at once")]
    fn take(&mut self) -> Result<Option<(Arc<S>, Option<S::Child>, Old<S>)>> {
        if self.useless {
            return Ok(None);
        }
        self.starts = self.starts.saturating_add(1);
        let Some(current) = self.begin()? else {
            return Ok(None);
        };
        let ended = current.ended_spares();
        let helper = Arc::clone(&current.helper);
        // The first one was asked for first, and is the most ready.
        let spare = (!current.spares.is_empty()).then(|| current.spares.remove(0));
        Ok(Some((helper, spare, Old::of(None, ended))))
    }

    fn begin(&mut self) -> Result<Option<&mut Current<S>>> {
        if self.current.is_none() {
            self.current = S::begin()?.map(|helper| Current {
                helper: Arc::new(helper),
                spares: Vec::new(),
            });
        }
        Ok(self.current.as_mut())
    }

    /// Asks for the spares that are missing. If that fails, the next start that needs one tries
    /// again.
    pub(super) fn replenish(&mut self) -> Old<S> {
        let habitual = usize::from(self.starts >= HABIT);
        let target = self.wanted.unwrap_or(habitual);
        let Some(current) = &mut self.current else {
            return Old::of(None, Vec::new());
        };
        let ended = current.ended_spares();
        while current.spares.len() < target {
            match S::ask(&current.helper, Wait::Idle) {
                Ok(Asked::For(spare)) => current.spares.push(spare),
                Ok(Asked::Nobody) => return Old::of(self.current.take(), ended),
                Ok(Asked::TooMuch) | Err(_) => break,
            }
        }
        Old::of(None, ended)
    }

    /// Keeps `count` spares from now on. Takes out those above that number. Starts the helper if
    /// there is none and `may_start` says so.
    pub(super) fn keep(&mut self, count: usize, may_start: bool) -> Result<Old<S>> {
        self.wanted = Some(count);
        let surplus = self.current.as_mut().map(|current| {
            let kept = current.spares.len().min(count);
            current.spares.split_off(kept)
        });
        let old = Old::of(None, surplus.unwrap_or_default());
        if count > 0 && !self.useless && may_start {
            self.begin()?;
        }
        Ok(old)
    }

    /// Makes the next start use another helper than this one.
    pub(super) fn replace(&mut self, helper: &Arc<S>) -> Old<S> {
        let is_this = |current: &mut Current<S>| Arc::ptr_eq(&current.helper, helper);
        Old::of(self.current.take_if(is_this), Vec::new())
    }

    /// Takes out the helper and its spares. The next start begins another.
    pub(super) fn clear(&mut self) -> Old<S> {
        Old::of(self.current.take(), Vec::new())
    }

    /// Makes all starts do without a helper from now on.
    pub(super) fn give_up(&mut self) -> Old<S> {
        self.useless = true;
        self.clear()
    }
}

impl<S: Source> Current<S> {
    /// Takes out the spares that were not used in time and have ended. Dropping them reaps them.
    fn ended_spares(&mut self) -> Vec<S::Child> {
        self.spares
            .extract_if(.., |spare| S::has_ended(spare))
            .collect()
    }
}

impl<S: Source> Old<S> {
    fn of(current: Option<Current<S>>, spares: Vec<S::Child>) -> Self {
        Self {
            _current: current,
            _spares: spares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS, Asked, HABIT, Made, Source, Stock, make};
    use crate::{
        error::{Error, ErrorKind, Result},
        start::message::request::Wait,
        sys::per_process::{Owned, PerProcess},
    };
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
        sync::{Arc, MutexGuard},
    };

    thread_local! {
        /// How many helpers this test has started.
        static STARTED: Cell<usize> = const { Cell::new(0) };
        /// Whether the helpers that are started from now on are dead.
        static DEAD: Cell<bool> = const { Cell::new(false) };
        /// How many more helpers cannot be started.
        static FAILURES: Cell<usize> = const { Cell::new(0) };
    }

    /// A helper without a process. Its children are numbers.
    struct Fake {
        number: usize,
        is_dead: Cell<bool>,
        waits: RefCell<Vec<Wait>>,
    }

    struct Child {
        of: usize,
        number: usize,
        has_ended: Rc<Cell<bool>>,
    }

    impl Source for Fake {
        type Child = Child;

        fn begin() -> Result<Option<Self>> {
            if FAILURES.get() > 0 {
                FAILURES.set(FAILURES.get() - 1);
                return Err(Error::new(ErrorKind::TooManyProcesses, "no helper"));
            }
            STARTED.set(STARTED.get() + 1);
            Ok(Some(Self {
                number: STARTED.get(),
                is_dead: Cell::new(DEAD.get()),
                waits: RefCell::default(),
            }))
        }

        fn ask(this: &Arc<Self>, wait: Wait) -> Result<Asked<Child>> {
            if this.is_dead.get() {
                return Ok(Asked::Nobody);
            }
            this.waits.borrow_mut().push(wait);
            Ok(Asked::For(Child {
                of: this.number,
                number: this.waits.borrow().len(),
                has_ended: Rc::default(),
            }))
        }

        fn has_ended(child: &Child) -> bool {
            child.has_ended.get()
        }
    }

    fn start(stock: &PerProcess<Stock<Fake>>) -> Result<Option<Made<Fake>>> {
        make(|| lock(stock))
    }

    fn lock(stock: &PerProcess<Stock<Fake>>) -> MutexGuard<'_, Owned<Stock<Fake>>> {
        stock.lock(Stock::renew)
    }

    fn replenish(stock: &PerProcess<Stock<Fake>>) {
        drop(lock(stock).replenish());
    }

    fn spares(stock: &PerProcess<Stock<Fake>>) -> usize {
        lock(stock)
            .current
            .as_ref()
            .map_or(0, |current| current.spares.len())
    }

    #[test]
    fn helper_that_is_gone_when_asked_is_replaced() {
        let stock = PerProcess::new(Stock::new());
        let first = start(&stock).unwrap().unwrap();
        first.helper.is_dead.set(true);
        let second = start(&stock).unwrap().unwrap();
        assert_eq!((first.newborn.of, second.newborn.of), (1, 2));
        assert_eq!(*second.helper.waits.borrow(), [Wait::Ever]);
    }

    #[test]
    fn start_does_without_a_helper_when_each_dies() {
        DEAD.set(true);
        let stock = PerProcess::new(Stock::new());
        assert!(start(&stock).unwrap().is_none());
        assert_eq!(STARTED.get(), ATTEMPTS);
        // None of the dead ones is left for the next start.
        DEAD.set(false);
        let made = start(&stock).unwrap().unwrap();
        assert_eq!(made.newborn.of, ATTEMPTS + 1);
    }

    #[test]
    fn helper_that_was_replaced_meanwhile_does_not_take_the_next_one_along() {
        let stock = PerProcess::new(Stock::new());
        let [one, other] = [(); 2].map(|()| start(&stock).unwrap().unwrap());
        assert!(Arc::ptr_eq(&one.helper, &other.helper));
        // Both starts find it dead. The first replaces it, and a third start uses the new one.
        drop(lock(&stock).replace(&one.helper));
        let third = start(&stock).unwrap().unwrap();
        drop(lock(&stock).replace(&other.helper));
        let fourth = start(&stock).unwrap().unwrap();
        assert_eq!((third.newborn.of, fourth.newborn.of), (2, 2));
    }

    #[test]
    fn helper_that_dies_among_the_spares_takes_them_along() {
        let stock = PerProcess::new(Stock::new());
        drop(lock(&stock).keep(2, true).unwrap());
        replenish(&stock);
        assert_eq!(spares(&stock), 2);
        let made = start(&stock).unwrap().unwrap();
        assert!(made.is_spare);
        made.helper.is_dead.set(true);
        replenish(&stock);
        assert_eq!(spares(&stock), 0);
        let next = start(&stock).unwrap().unwrap();
        assert_eq!((next.is_spare, next.newborn.of), (false, 2));
    }

    #[test]
    fn oldest_spare_that_lives_is_used() {
        let stock = PerProcess::new(Stock::new());
        drop(lock(&stock).keep(3, true).unwrap());
        replenish(&stock);
        let guard = lock(&stock);
        let spares = &guard.current.as_ref().unwrap().spares;
        let (first, third) = (&spares[0].has_ended, &spares[2].has_ended);
        first.set(true);
        third.set(true);
        drop(guard);
        let made = start(&stock).unwrap().unwrap();
        assert_eq!((made.is_spare, made.newborn.number), (true, 2));
        // The third has ended as well, so the next child is made for its start.
        assert!(!start(&stock).unwrap().unwrap().is_spare);
    }

    #[test]
    fn spare_is_kept_once_starts_are_a_habit() {
        let stock = PerProcess::new(Stock::new());
        for number in 1..=HABIT {
            assert_eq!(spares(&stock), 0);
            drop(start(&stock).unwrap().unwrap());
            replenish(&stock);
            assert_eq!(spares(&stock), usize::from(number == HABIT));
        }
        // What the user wants comes before the habit, and nothing is asked for it if that is less.
        drop(lock(&stock).keep(0, true).unwrap());
        replenish(&stock);
        assert_eq!(spares(&stock), 0);
    }

    #[test]
    fn helper_that_cannot_be_started_is_an_error_of_one_start() {
        FAILURES.set(1);
        let stock = PerProcess::new(Stock::<Fake>::new());
        let error = start(&stock).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TooManyProcesses);
        assert!(start(&stock).unwrap().is_some());
    }

    #[test]
    fn useless_helper_is_started_by_nobody() {
        let stock = PerProcess::new(Stock::<Fake>::new());
        drop(lock(&stock).give_up());
        assert!(start(&stock).unwrap().is_none());
        drop(lock(&stock).keep(2, true).unwrap());
        replenish(&stock);
        assert_eq!(STARTED.get(), 0);
    }

    #[test]
    fn copy_of_a_process_has_a_helper_of_its_own() {
        let stock = PerProcess::new(Stock::new());
        let parents = start(&stock).unwrap().unwrap();
        assert_eq!(start(&stock).unwrap().unwrap().newborn.of, 1);
        lock(&stock).renew();
        assert_eq!(start(&stock).unwrap().unwrap().newborn.of, 2);
        // The copy has not dropped its parent's helper, which would have killed that.
        assert_eq!(Arc::strong_count(&parents.helper), 2);
    }
}
