//! The state of a [`Monitor`], as it is seen and changed by whoever has the lock.

use super::monitor::Monitor;
use crate::sys::{peer::Peer, robust};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering, compiler_fence},
};

/// The state, under the lock.
pub(super) struct State<'a> {
    monitor: &'a Monitor,
    words: &'a [AtomicU64],
    guard: robust::Guard<'a>,
}

/// Which wake-ups those who wait need: bits of [`GATE`] and [`FUTEX`]. It may say so when nobody waits any more.
const WATCHED: usize = 0;
/// The words from here on are the lock's own.
pub(super) const OWN: usize = 1;
/// How many changes are in the log; zero unless they are being made.
pub(super) const LOGGED: usize = 8;
/// How many seats were ever taken.
const SEATS: usize = 9;
const TABLE: usize = 10;
/// How many seats there can be. Their memory is taken when they are.
const CAPACITY: usize = 4096;
/// One more seat, which is not counted: of a process that has nothing, but a claim to be next.
pub(super) const CLAIM: usize = CAPACITY;
/// Two words that name a process, and two that are the lock's own. A seat is taken while one of these is not zero.
const SEAT: usize = 4;
const LOG: usize = TABLE + (CAPACITY + 1) * SEAT;
/// A change is a word and its value. No more are made at once than there are seats and words of the lock's own.
pub(super) const LENGTH: usize = LOG + (CAPACITY + LOGGED) * 2;

/// Somebody listens at the gate.
pub(super) const GATE: u64 = 1;
/// Somebody has no descriptor to listen with, and sleeps on the number.
pub(super) const FUTEX: u64 = 2;

impl<'a> State<'a> {
    /// What is seen under this lock of this monitor. If somebody was killed with the lock, its change is finished first.
    pub(super) fn new(
        monitor: &'a Monitor,
        words: &'a [AtomicU64],
        guard: robust::Guard<'a>,
    ) -> Self {
        let state = Self {
            monitor,
            words,
            guard,
        };
        state.recover();
        state
    }

    /// Finishes the change that somebody was making when it was killed.
    fn recover(&self) {
        if self.guard.owner_died() {
            self.replay();
            self.guard.recovered();
        }
    }

    /// One of the words.
    pub(super) fn get(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Relaxed)
    }

    /// Changes one word.
    pub(super) fn set(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::Relaxed);
    }

    /// Changes several words, all or none of them.
    pub(super) fn change(&self, changes: &[(usize, u64)]) {
        for (at, (word, value)) in changes.iter().enumerate() {
            self.set(LOG + 2 * at, *word as u64);
            self.set(LOG + 2 * at + 1, *value);
        }
        // What a killed process has stored, others see in the order of its instructions. It is the compiler that must keep it.
        compiler_fence(Ordering::SeqCst);
        self.set(LOGGED, changes.len() as u64);
        compiler_fence(Ordering::SeqCst);
        self.replay();
    }

    /// Makes the changes that are in the log. That they may have been made before does not matter.
    fn replay(&self) {
        let logged = usize::try_from(self.get(LOGGED)).unwrap_or(0);
        for at in 0..logged.min((LENGTH - LOG) / 2) {
            let word = usize::try_from(self.get(LOG + 2 * at)).unwrap_or(usize::MAX);
            // Only our own processes write here, but a wrong number is no reason to panic.
            if let Some(place) = self.words.get(word) {
                place.store(self.get(LOG + 2 * at + 1), Ordering::Relaxed);
            }
        }
        compiler_fence(Ordering::SeqCst);
        self.set(LOGGED, 0);
    }

    /// Wakes all who wait. It is called before something is given back, and not after: see [`monitor`](super::monitor).
    pub(super) fn ring(&self) {
        let watched = self.get(WATCHED);
        if watched != 0 {
            self.monitor.wake(watched);
            // In this order: whoever is killed in between leaves a wake-up too many.
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
        let last = self.monitor.seat.load(Ordering::Relaxed);
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
        self.monitor.seat.store(seat, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Ok(seat)
    }

    /// Those of these seats that are of other processes: as long as this one can ask, it has not ended.
    pub(super) fn others(&self, seats: impl IntoIterator<Item = usize>) -> Vec<(usize, Peer)> {
        let this = Peer::this();
        let seats = seats.into_iter().map(|seat| (seat, self.peer(seat)));
        seats.filter(|(_, peer)| *peer != this).collect()
    }
}
