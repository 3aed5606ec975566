//! The state of a [`Monitor`], as it is seen and changed by whoever has the lock, and the posts,
//! which are made without it.

use crate::sys::{futex, gate::Gate, mapping::Mapping, peer::Peer, robust, step::step};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence},
    },
};

/// What a handle has of the state: the memory, the gate, and how posts are settled.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) mapping: Arc<Mapping>,
    pub(super) gate: Gate,
    settle: &'static Settle,
    /// The seat that this process had last.
    seat: AtomicUsize,
}

/// The state, under the lock.
pub(super) struct State<'a> {
    board: &'a Board,
    words: &'a [AtomicU64],
    guard: robust::Guard<'a>,
}

/// The words, for a process that changes them without the lock.
pub(super) struct Post<'a>(pub(super) &'a [AtomicU64]);

/// How one sort of lock settles what was posted.
#[derive(Debug)]
pub(super) struct Settle {
    /// Makes the changes that were posted in this seat.
    pub(super) seat: fn(&State<'_>, usize),
    /// Makes the changes that were requested without a seat. It gets the word of requests.
    pub(super) request: fn(&State<'_>, u64),
}

/// Which wake-ups those who wait need: bits of [`GATE`] and [`FUTEX`]. They may still be set when
/// nobody waits any more.
pub(super) const WATCHED: usize = 0;
/// How many processes are posting something now. One that is killed meanwhile counts for ever.
pub(super) const POSTING: usize = 1;
/// How often something was posted in a seat.
const POSTED: usize = 2;
/// How many of these posts are known to be settled.
const SETTLED: usize = 3;
/// What was requested without a seat. Each sort of lock gives it a meaning of its own.
const REQUESTED: usize = 4;
/// What had been requested when that was last applied.
const APPLIED: usize = 5;
/// The words from here on are the lock's own.
pub(super) const OWN: usize = 6;
/// How many changes are in the log; zero unless they are being made.
pub(super) const LOGGED: usize = 14;
/// How many seats were ever taken.
const SEATS: usize = 15;
const TABLE: usize = 16;
/// How many seats there can be. Their memory is taken when they are.
const CAPACITY: usize = 4096;
/// One more seat, which is not counted: of a process that has nothing, but a claim to be next.
pub(super) const CLAIM: usize = CAPACITY;
/// Two words that name a process, and two that are the lock's own: a seat is taken while one of
/// these is not zero. Then two counters that grow with each post, and how much of them is settled.
const SEAT: usize = 8;
const RETURNED: usize = 4;
const RETURNS_SETTLED: usize = 6;
const LOG: usize = TABLE + (CAPACITY + 1) * SEAT;
/// A change is a word and its value. No more are made at once than there are seats and words of the
/// lock's own.
pub(super) const LENGTH: usize = LOG + (CAPACITY + LOGGED) * 2;

/// The number that every ring changes, for waiters without a descriptor to listen with.
const RINGS: usize = robust::SIZE;
pub(super) const WORDS: usize = 2 * robust::SIZE;

/// A waiter listens at the gate.
pub(super) const GATE: u64 = 1;
/// A waiter has no descriptor to listen with, and sleeps on the number.
pub(super) const FUTEX: u64 = 2;

impl Board {
    pub(super) fn new(mapping: Arc<Mapping>, gate: Gate, settle: &'static Settle) -> Self {
        Self {
            mapping,
            gate,
            settle,
            seat: AtomicUsize::new(0),
        }
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        self.mapping.slice(WORDS, LENGTH)
    }

    pub(super) fn rings(&self) -> &AtomicU32 {
        self.mapping.get(RINGS)
    }

    /// Wakes all who wait in one of these ways.
    pub(super) fn wake(&self, watched: u64) {
        if watched & GATE != 0 {
            // It cannot fail for an eventfd.
            let _ = self.gate.open_for_all();
        }
        if watched & FUTEX != 0 {
            self.rings().fetch_add(1, Ordering::Relaxed);
            futex::wake_all(self.rings());
        }
    }
}

impl<'a> State<'a> {
    /// What is seen under this lock of this monitor. If somebody was killed with the lock, its
    /// change is finished first; then what was posted meanwhile is settled.
    #[inline]
    pub(super) fn new(board: &'a Board, guard: robust::Guard<'a>) -> Self {
        let words = board.words();
        let mut state = Self {
            board,
            words,
            guard,
        };
        if state.guard.owner_died() {
            state.recover();
        }
        if Post(words).is_pending() {
            state.settle();
        }
        state
    }

    /// Finishes the change that somebody was making when it was killed.
    #[cold]
    fn recover(&mut self) {
        self.replay();
        self.guard.recovered();
    }

    /// Makes the changes that were posted. What is posted while it does so may be left to the next.
    #[cold]
    fn settle(&self) {
        let Settle { seat, request } = self.board.settle;
        let posted = self.words[POSTED].load(Ordering::Acquire);
        if posted != self.get(SETTLED) {
            for at in self.seats() {
                if self.unsettled(at) != [0; 2] {
                    seat(self, at);
                }
            }
            // Last: if this process is killed before, the next one looks at the seats again.
            compiler_fence(Ordering::SeqCst);
            self.set(SETTLED, posted);
        }
        let requested = self.words[REQUESTED].load(Ordering::Acquire);
        if requested != self.get(APPLIED) {
            request(self, requested);
        }
    }

    /// How much was posted in this seat, by either counter, and is not settled yet.
    pub(super) fn unsettled(&self, seat: usize) -> [u64; 2] {
        let at = TABLE + seat * SEAT;
        // What a poster did before, such as writing a value, comes before what the next owner does.
        [0, 1].map(|which| {
            let returned = self.words[at + RETURNED + which].load(Ordering::Acquire);
            returned.wrapping_sub(self.get(at + RETURNS_SETTLED + which))
        })
    }

    /// The changes that say that this much more of a seat is settled. They belong in the same
    /// [`change`](Self::change) as the effect.
    pub(super) fn settled(&self, seat: usize, amounts: [u64; 2]) -> [(usize, u64); 2] {
        let at = TABLE + seat * SEAT + RETURNS_SETTLED;
        [0, 1].map(|which| {
            let settled = self.get(at + which).wrapping_add(amounts[which]);
            (at + which, settled)
        })
    }

    /// What had been requested when that was last applied.
    pub(super) fn last_applied(&self) -> u64 {
        self.get(APPLIED)
    }

    /// The change that says that this request is applied. It belongs in the same
    /// [`change`](Self::change) as the effect.
    pub(super) fn applied(requested: u64) -> (usize, u64) {
        (APPLIED, requested)
    }

    /// One of the words.
    pub(super) fn get(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Relaxed)
    }

    /// One of the words that are changed without the lock, too.
    pub(super) fn word(&self, word: usize) -> &AtomicU64 {
        &self.words[word]
    }

    /// Changes one word.
    pub(super) fn set(&self, word: usize, value: u64) {
        step();
        self.words[word].store(value, Ordering::Relaxed);
    }

    /// Changes several words, all or none of them.
    #[inline]
    pub(super) fn change(&self, changes: impl IntoIterator<Item = (usize, u64)>) {
        let mut logged = 0;
        for (word, value) in changes {
            self.set(LOG + 2 * logged, word as u64);
            self.set(LOG + 2 * logged + 1, value);
            logged += 1;
        }
        // Others see what a killed process has stored in the order of its instructions. Only the
        // compiler could change that order.
        compiler_fence(Ordering::SeqCst);
        self.set(LOGGED, logged as u64);
        compiler_fence(Ordering::SeqCst);
        self.replay();
    }

    /// Makes the changes that are in the log. It does no harm if they were made before.
    fn replay(&self) {
        let logged = usize::try_from(self.get(LOGGED)).unwrap_or(0);
        for at in 0..logged.min((LENGTH - LOG) / 2) {
            let word = usize::try_from(self.get(LOG + 2 * at)).unwrap_or(usize::MAX);
            // Only our own processes write here, but a wrong number is no reason to panic.
            if word < self.words.len() {
                self.set(word, self.get(LOG + 2 * at + 1));
            }
        }
        compiler_fence(Ordering::SeqCst);
        self.set(LOGGED, 0);
    }

    /// Wakes all who wait. It is called before something is given back, and not after: see
    /// [`monitor`](super::monitor).
    pub(super) fn ring(&self) {
        let watched = self.get(WATCHED);
        if watched != 0 {
            step();
            self.board.wake(watched);
            // In this order: a process that is killed in between leaves one wake-up too many.
            compiler_fence(Ordering::SeqCst);
            self.set(WATCHED, 0);
        }
    }

    /// Says that somebody is about to sleep who needs this sort of wake-up.
    pub(super) fn watch(&self, sort: u64) {
        self.set(WATCHED, self.get(WATCHED) | sort);
    }

    /// The seats that were ever taken.
    pub(super) fn seats(&self) -> std::ops::Range<usize> {
        0..usize::try_from(self.get(SEATS)).unwrap_or(0).min(CAPACITY)
    }

    /// The seats in which there is something.
    pub(super) fn taken(&self) -> impl Iterator<Item = usize> {
        self.seats().filter(|seat| self.is_taken(*seat))
    }

    /// The lock's own words of a seat.
    pub(super) fn own(seat: usize) -> (usize, usize) {
        let at = TABLE + seat * SEAT;
        (at + 2, at + 3)
    }

    /// The process whose seat it is.
    pub(super) fn peer(&self, seat: usize) -> Peer {
        let at = TABLE + seat * SEAT;
        Peer::from_words([self.get(at), self.get(at + 1)])
    }

    /// Gives a seat, in which there is nothing, to this process.
    pub(super) fn sit(&self, seat: usize) {
        let at = TABLE + seat * SEAT;
        let [place, unique] = Peer::this().words();
        self.set(at, place);
        self.set(at + 1, unique);
        compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn is_taken(&self, seat: usize) -> bool {
        let (one, other) = Self::own(seat);
        (self.get(one), self.get(other)) != (0, 0)
    }

    /// The seat of this process, which is taken once there is something in it.
    pub(super) fn seat(&self) -> io::Result<usize> {
        let this = Peer::this();
        let last = self.board.seat.load(Ordering::Relaxed);
        if self.peer(last) == this {
            return Ok(last);
        }
        let mine = self.seats().find(|seat| self.peer(*seat) == this);
        mine.map_or_else(|| self.new_seat(), Ok)
    }

    /// A seat that nobody has.
    pub(super) fn new_seat(&self) -> io::Result<usize> {
        let free = self.seats().find(|seat| !self.is_taken(*seat));
        let seat = free.unwrap_or(self.seats().end);
        if seat == CAPACITY {
            let what = format!(
                "{CAPACITY} processes use it at the same time, which is the most there can"
            );
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
        }
        // As long as there is nothing in it, it does not matter whose it is.
        self.sit(seat);
        self.set(SEATS, (self.seats().end.max(seat + 1)) as u64);
        self.board.seat.store(seat, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Ok(seat)
    }

    /// Those of these seats that are of other processes: as long as this one can ask, it has not
    /// ended.
    pub(super) fn others(&self, seats: impl IntoIterator<Item = usize>) -> Vec<(usize, Peer)> {
        let this = Peer::this();
        let seats = seats.into_iter().map(|seat| (seat, self.peer(seat)));
        seats.filter(|(_, peer)| *peer != this).collect()
    }
}

impl Post<'_> {
    /// Whether there are posts that may not be settled.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        // One look at the length for all of them.
        let words = &self.0[..OWN];
        let differ = |one: usize, other: usize| {
            words[one].load(Ordering::Acquire) != words[other].load(Ordering::Relaxed)
        };
        differ(POSTED, SETTLED) || differ(REQUESTED, APPLIED)
    }

    /// Posts in a seat of this process, by one of its two counters.
    pub(super) fn give_back(&self, seat: usize, which: usize, amount: u64) {
        step();
        let returned = &self.0[TABLE + seat * SEAT + RETURNED + which];
        returned.fetch_add(amount, Ordering::AcqRel);
        // In this order: a process that sees the second counter change looks at the first.
        step();
        self.0[POSTED].fetch_add(1, Ordering::AcqRel);
    }

    /// Posts without a seat: makes the next request out of the last one.
    pub(super) fn request(&self, next: impl Fn(u64) -> u64) {
        step();
        let order = Ordering::AcqRel;
        let _ = self.0[REQUESTED].fetch_update(order, Ordering::Acquire, |last| Some(next(last)));
    }

    /// What was requested last, and what of it was applied last.
    pub(super) fn requests(&self) -> (u64, u64) {
        let [requested, applied] = [REQUESTED, APPLIED].map(|word| self.word(word));
        (
            requested.load(Ordering::Acquire),
            applied.load(Ordering::Relaxed),
        )
    }

    /// One of the words.
    pub(super) fn word(&self, word: usize) -> &AtomicU64 {
        &self.0[word]
    }
}
