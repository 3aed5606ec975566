//! The worker's end of a lane.

use super::{
    attention::Ringer,
    layout::{Claim, MEMORIES, began, claim, flag, flags, flags_of, form_of, loan_bit, word},
    ring::{Head, Reader, Writer},
};
use crate::{
    channel::{Carrier, Parcel, Stash},
    error::{Error, Result},
    sys::{
        fd::{AsFd, OwnedFd},
        futex,
        mapping::Mapping,
        memfd::Memory,
        step::step,
        wait::{self, For, Patience},
    },
};
use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    time::Duration,
};

#[derive(Debug)]
pub(in crate::pool) struct WorkerEnd {
    mapping: Arc<Mapping>,
    carrier: Carrier,
    tasks: Reader,
    answers: Writer,
    ringer: Ringer,
    patience: Patience,
    /// The memory of large answers that the pool may still read, each in the place of its bit.
    lent: [Option<Memory>; MEMORIES as usize],
    /// Whether any of them is.
    lends: bool,
    /// The memory that can be used again.
    stash: Arc<Stash>,
}

/// What a worker does next.
#[derive(Debug)]
pub(in crate::pool) enum Next {
    /// A task, which this worker has claimed at this moment.
    Task(Head, io::Result<Parcel>, Duration),
    /// Nothing more comes.
    End,
}

impl WorkerEnd {
    pub(in crate::pool) fn open(
        [memory, socket]: [OwnedFd; 2],
        ringer: Ringer,
    ) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::open(memory, word::END)?);
        Ok(Self {
            tasks: Reader::new(&mapping, word::TASKS),
            answers: Writer::new(&mapping, word::ANSWERS),
            carrier: Carrier::open(socket),
            ringer,
            patience: Patience::default(),
            lent: Default::default(),
            lends: false,
            stash: Arc::default(),
            mapping,
        })
    }

    /// Tells the pool that the worker is ready for tasks.
    pub(in crate::pool) fn ready(&mut self) {
        step();
        flag(&self.mapping, word::READY).store(1, Ordering::Release);
        self.ringer.ring();
    }

    /// Waits for the next task, and claims it. Its bytes replace those of `bytes`. Blocks without a
    /// limit.
    pub(in crate::pool) fn next(&mut self, mut bytes: Vec<u8>, now: Duration) -> io::Result<Next> {
        bytes.clear();
        let (mut now, mut has_skipped) = (Some(now), false);
        loop {
            let Some(head) = self.tasks.peek() else {
                if self.is_closed() {
                    return Ok(Next::End);
                }
                // The time that was passed is over.
                now = None;
                if mem::take(&mut has_skipped) {
                    // The pool may wait for the room.
                    self.ringer.ring();
                }
                self.rest(|end| end.tasks.has_more() || end.is_closed())?;
                continue;
            };
            let began = now.unwrap_or_else(futex::since_boot);
            if self.claim(head.number, began) {
                let fds = self.packet(head);
                self.tasks.take(head, &mut bytes);
                let parcel = fds.map(|fds| Parcel {
                    bytes,
                    fds,
                    form: form_of(head.flags),
                });
                return Ok(Next::Task(head, parcel, began));
            }
            // It was withdrawn. Its packet is dropped with it, since somebody may wait until all
            // copies of a descriptor are closed.
            drop(self.packet(head));
            self.tasks.skip(head);
            has_skipped = true;
        }
    }

    fn claim(&self, number: u64, at: Duration) -> bool {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let word = claim(&self.mapping, number);
        let offered = Claim::Offered.of(number);
        if word.load(Ordering::Relaxed) != offered {
            return false;
        }
        // Before the exchange, so that the pool sees it with the claim.
        began(&self.mapping, number).store(at, Ordering::Relaxed);
        step();
        let claimed = Claim::Claimed.of(number);
        let exchanged =
            word.compare_exchange(offered, claimed, Ordering::AcqRel, Ordering::Relaxed);
        step();
        exchanged.is_ok()
    }

    fn packet(&self, head: Head) -> io::Result<Vec<OwnedFd>> {
        if head.flags & flags::PACKET == 0 {
            return Ok(Vec::new());
        }
        let packet = self.carrier.receive(head.number)?;
        packet.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn is_closed(&self) -> bool {
        flag(&self.mapping, word::CLOSED).load(Ordering::Acquire) != 0
    }

    /// The memory for large answers.
    pub(in crate::pool) fn stash(&self) -> Arc<Stash> {
        Arc::clone(&self.stash)
    }

    /// Takes back the memory that the pool has read.
    fn reclaim(&mut self) {
        if !self.lends {
            return;
        }
        let lent = flag(&self.mapping, word::LENT).load(Ordering::Acquire);
        for (memory, place) in (1..).zip(&mut self.lent) {
            if loan_bit(memory).is_some_and(|bit| lent & bit == 0)
                && let Some(memory) = place.take()
            {
                self.stash.keep(memory);
            }
        }
        self.lends = self.lent.iter().any(Option::is_some);
    }

    /// Lends the memory of an answer to the pool. Returns its number, or zero if it is not used
    /// again.
    fn lend(&mut self, parcel: &mut Parcel) -> u8 {
        if !parcel.form.spilled {
            return 0;
        }
        let Some(free) = self.lent.iter().position(Option::is_none) else {
            return 0;
        };
        let memory = u8::try_from(free + 1).ok();
        let number = memory.and_then(|memory| Some((memory, loan_bit(memory)?)));
        match number.zip(parcel.take_memory()) {
            Some(((number, bit), memory)) => {
                flag(&self.mapping, word::LENT).fetch_or(bit, Ordering::Relaxed);
                self.lent[free] = Some(memory);
                self.lends = true;
                number
            }
            None => 0,
        }
    }

    /// Sends an answer. Waits while there is no room for it. Returns its bytes, to be used again.
    ///
    /// Fails if its descriptors cannot be sent, or if the system refuses to wait. Nothing is sent
    /// then.
    pub(in crate::pool) fn answer(
        &mut self,
        head: Head,
        mut parcel: Parcel,
        is_tired: bool,
    ) -> Result<Vec<u8>> {
        self.reclaim();
        let is_spilled = parcel.form.spilled;
        let has_packet = !parcel.fds.is_empty();
        let bundles = parcel.bundles()?;
        if has_packet {
            let fds = bundles.as_deref().unwrap_or(&parcel.fds);
            self.send_packet(head.number, fds)?;
        }
        if !self.answers.has_room(parcel.bytes.len()) {
            self.rest(|end| end.answers.has_room(parcel.bytes.len()))
                .map_err(|source| Error::os("there is no room for a result", source))?;
        }
        let tired = if is_tired { flags::TIRED } else { 0 };
        let head = Head {
            flags: flags_of(is_spilled, bundles.is_some(), has_packet) | tired,
            memory: self.lend(&mut parcel),
            ..head
        };
        self.answers.write(head, &parcel.bytes);
        self.ringer.ring();
        Ok(parcel.bytes)
    }

    fn send_packet(&self, number: u64, fds: &[OwnedFd]) -> Result<()> {
        loop {
            let sent = match self.carrier.send(number, fds) {
                // The pool takes packets when it takes the answers before this one.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait::until_ready(&[(self.carrier.as_fd(), For::Writing)], None).map(drop)
                }
                sent => {
                    return sent
                        .map_err(|source| Error::os("its descriptors cannot be sent", source));
                }
            };
            sent.map_err(|source| Error::os("its descriptors cannot be sent", source))?;
        }
    }

    /// Waits until a condition holds: spins for a while, then sleeps. The pool rings after every
    /// change.
    fn rest(&self, holds: impl Fn(&Self) -> bool) -> io::Result<()> {
        if self.patience.wait(|| holds(self)) {
            return Ok(());
        }
        let (bell, asleep) = (
            flag(&self.mapping, word::BELL),
            flag(&self.mapping, word::ASLEEP),
        );
        loop {
            let heard = bell.load(Ordering::Relaxed);
            asleep.store(1, Ordering::Relaxed);
            // Orders the store before the look. The pool does the same the other way round.
            fence(Ordering::SeqCst);
            let is_over = holds(self);
            let slept = if is_over {
                Ok(true)
            } else {
                futex::wait(bell, heard, None)
            };
            asleep.store(0, Ordering::Relaxed);
            slept?;
            if is_over {
                return Ok(());
            }
        }
    }
}
