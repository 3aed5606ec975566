//! The state of a [`Monitor`], as it is seen and changed by the one who has the lock.

use super::monitor::{Monitor, Rules};
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

/// Whether somebody waits, and what for: zero is nobody, and the rest is the lock's own. It may say so when nobody does any more.
pub(super) const WATCHED: usize = 0;
/// The words from here on are the lock's own.
pub(super) const OWN: usize = 1;
/// How many changes are in the log; zero unless they are being made.
pub(super) const LOGGED: usize = 8;
/// How many seats were ever taken.
const SEATS: usize = 9;
const TABLE: usize = 10;
/// How many seats there can be. Their memory is taken when they are.
pub(super) const CAPACITY: usize = 4096;
/// Two words that name a process, and two that are the lock's own. A seat is taken while one of these is not zero.
const SEAT: usize = 4;
const LOG: usize = TABLE + CAPACITY * SEAT;
/// A change is a word and its value. No more are made at once than there are seats and words of the lock's own.
pub(super) const LENGTH: usize = LOG + (CAPACITY + LOGGED) * 2;

impl<'a> State<'a> {
    /// What is seen under this lock of this monitor. If somebody was killed with the lock, what it was about is finished first.
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

    /// Finishes what somebody was about when it was killed.
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
            // Only our own processes write here, but a wrong number is no reason to fall.
            if let Some(place) = self.words.get(word) {
                place.store(self.get(LOG + 2 * at + 1), Ordering::Relaxed);
            }
        }
        compiler_fence(Ordering::SeqCst);
        self.set(LOGGED, 0);
    }

    /// Rings for who has the watch, if somebody has. Before anything is given back, and not after: see above.
    pub(super) fn ring(&self) {
        if self.get(WATCHED) != 0 {
            // It cannot fail for an eventfd.
            let _ = self.monitor.bell.ring();
        }
    }

    /// Wakes all who wait at the gate. Before what they wait for happens, and not after.
    pub(super) fn open_gate(&self) {
        if let Some(gate) = &self.monitor.gate {
            // It cannot fail for an eventfd.
            let _ = gate.open_for_all();
        }
    }

    /// Says in these words that this process, which has the watch, is about to sleep.
    pub(super) fn watch(&self, words: &[usize; 2]) -> io::Result<()> {
        for (word, value) in words.iter().zip(Peer::this()?.words()) {
            self.set(*word, value);
        }
        self.set(WATCHED, 1);
        self.monitor.bell.clear()?;
        Ok(())
    }

    /// Says in these words that nobody has the watch.
    pub(super) fn watch_no_more(&self, words: &[usize; 2]) {
        self.set(words[0], 0);
        self.set(WATCHED, 0);
    }

    /// The process that has said so last, if it is another one. It has no seat here, since there is nothing to be given back.
    pub(super) fn watcher(&self, words: &[usize; 2]) -> Vec<(usize, Peer)> {
        let peer = Peer::from_words(words.map(|word| self.get(word)));
        let is_other = Peer::this().ok() != Some(peer);
        is_other.then_some((CAPACITY, peer)).into_iter().collect()
    }

    /// The seats that were ever taken.
    pub(super) fn seats(&self) -> std::ops::Range<usize> {
        0..usize::try_from(self.get(SEATS)).unwrap_or(0).min(CAPACITY)
    }

    /// The lock's own words of a seat.
    pub(super) fn own(seat: usize) -> (usize, usize) {
        let at = TABLE + seat * SEAT;
        (at + 2, at + 3)
    }

    /// Which process a seat is of.
    pub(super) fn peer(&self, seat: usize) -> Peer {
        let at = TABLE + seat * SEAT;
        Peer::from_words([self.get(at), self.get(at + 1)])
    }

    pub(super) fn is_taken(&self, seat: usize) -> bool {
        let (one, other) = Self::own(seat);
        (self.get(one), self.get(other)) != (0, 0)
    }

    /// The seat of this process, which is taken once there is something in it.
    pub(super) fn seat(&self) -> io::Result<usize> {
        let this = Peer::this()?;
        let last = self.monitor.seat.load(Ordering::Relaxed);
        if self.peer(last) == this {
            return Ok(last);
        }
        let mine = self.seats().find(|seat| self.peer(*seat) == this);
        mine.map_or_else(|| self.new_seat(), Ok)
    }

    /// A seat that nobody has.
    pub(super) fn new_seat(&self) -> io::Result<usize> {
        let this = Peer::this()?;
        let free = self.seats().find(|seat| !self.is_taken(*seat));
        let seat = free.unwrap_or(self.seats().end);
        if seat == CAPACITY {
            let what = format!(
                "{CAPACITY} processes use it at the same time, which is the most there can"
            );
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
        }
        let at = TABLE + seat * SEAT;
        let [place, start] = this.words();
        // As long as there is nothing in it, it does not matter whose it is.
        self.set(at, place);
        self.set(at + 1, start);
        self.set(SEATS, (self.seats().end.max(seat + 1)) as u64);
        self.monitor.seat.store(seat, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Ok(seat)
    }

    /// The others that stand in the way of who waits.
    pub(super) fn blockers(&self, rules: &Rules) -> Vec<(usize, Peer)> {
        self.others((rules.blockers)(self))
    }

    /// Those of other processes: as long as this one can ask, it has not ended.
    pub(super) fn others(&self, seats: Vec<usize>) -> Vec<(usize, Peer)> {
        let this = Peer::this().ok();
        let seats = seats.into_iter().map(|seat| (seat, self.peer(seat)));
        seats.filter(|(_, peer)| Some(*peer) != this).collect()
    }
}
