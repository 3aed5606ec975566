//! The pool's end of a lane.

use super::{
    layout::{Claim, SLOTS, began, claim, flag, flags, flags_of, form_of, loan_bit, word},
    ring::{Head, Reader, Writer},
};
use crate::{
    channel::{Carrier, Parcel},
    error::{Error, Result},
    sys::{
        fd::{AsFd, OwnedFd},
        futex,
        mapping::Mapping,
        step::step,
    },
    wire::is_end,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
    time::Duration,
};

#[derive(Debug)]
pub(in crate::pool) struct PoolEnd {
    mapping: Arc<Mapping>,
    carrier: Carrier,
    tasks: Writer,
    answers: Reader,
    /// The number of the last task that was offered.
    last: u64,
}

/// What became of an attempt to withdraw a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Withdrawal {
    Withdrawn,
    /// The worker had claimed it before, at this moment.
    Claimed(Duration),
}

/// An answer of a worker, whose content follows.
#[derive(Debug)]
pub(in crate::pool) struct Answer {
    pub(in crate::pool) parcel: io::Result<Parcel>,
    /// When the worker has claimed the task.
    pub(in crate::pool) began: Duration,
    /// Whether the worker wants to be replaced.
    pub(in crate::pool) is_tired: bool,
    /// The memory of the content. The worker uses it again when this is dropped.
    pub(in crate::pool) loan: Option<Loan>,
}

/// Memory of a worker that the pool has not read yet.
#[derive(Debug)]
pub(in crate::pool) struct Loan {
    mapping: Arc<Mapping>,
    bit: u32,
}

impl Drop for Loan {
    fn drop(&mut self) {
        flag(&self.mapping, word::LENT).fetch_and(!self.bit, Ordering::Release);
    }
}

impl PoolEnd {
    /// Makes a lane. Returns the pool's end, and the descriptors of the worker's.
    pub(in crate::pool) fn create() -> io::Result<(Self, [OwnedFd; 2])> {
        let mapping = Arc::new(Mapping::create(word::END)?);
        let memory = mapping.as_fd().try_clone_to_owned()?;
        let (carrier, theirs) = Carrier::pair()?;
        let end = Self {
            tasks: Writer::new(&mapping, word::TASKS),
            answers: Reader::new(&mapping, word::ANSWERS),
            last: 0,
            mapping,
            carrier,
        };
        Ok((end, [memory, theirs.into()]))
    }

    /// Offers a task. Returns its number, or `None` if there is no room for it now.
    ///
    /// [`ring`](Self::ring) is called after the last one.
    pub(in crate::pool) fn offer(
        &mut self,
        (job, function): (u64, u64),
        parcel: &Parcel,
    ) -> Result<Option<u64>> {
        if !self.has_room(parcel) {
            return Ok(None);
        }
        let number = self.last + 1;
        let has_packet = !parcel.fds.is_empty();
        let bundles = parcel.bundles()?;
        if has_packet {
            let fds = bundles.as_deref().unwrap_or(&parcel.fds);
            match self.carrier.send(number, fds) {
                Ok(()) => {}
                // There is no room, or the worker has ended, which will be noticed soon.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || is_end(&error) => {
                    return Ok(None);
                }
                Err(source) => {
                    return Err(Error::os("its descriptors cannot be sent", source));
                }
            }
        }
        self.last = number;
        let claim = claim(&self.mapping, number);
        step();
        claim.store(Claim::Offered.of(number), Ordering::Relaxed);
        let head = Head {
            flags: flags_of(parcel.form.spilled, bundles.is_some(), has_packet),
            number,
            detail: function,
            job,
            ..Head::default()
        };
        self.tasks.write(head, &parcel.bytes);
        Ok(Some(number))
    }

    /// Whether there is room for a task now, but for its descriptors.
    pub(in crate::pool) fn has_room(&self, parcel: &Parcel) -> bool {
        let is_free = self.last < SLOTS as u64 || {
            let state = claim(&self.mapping, self.last + 1).load(Ordering::Relaxed) & 3;
            state == Claim::Withdrawn as u64 || state == Claim::Answered as u64
        };
        is_free && self.tasks.has_room(parcel.bytes.len())
    }

    /// Wakes the worker if it sleeps, after something was written or taken.
    pub(in crate::pool) fn ring(&self) {
        let bell = flag(&self.mapping, word::BELL);
        bell.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if flag(&self.mapping, word::ASLEEP).load(Ordering::Relaxed) != 0 {
            futex::wake_all(bell);
        }
    }

    /// Takes a task back, unless the worker has claimed it.
    pub(in crate::pool) fn withdraw(&self, number: u64) -> Withdrawal {
        let (offered, withdrawn) = (Claim::Offered.of(number), Claim::Withdrawn.of(number));
        let exchanged = claim(&self.mapping, number).compare_exchange(
            offered,
            withdrawn,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match exchanged {
            Ok(_) => Withdrawal::Withdrawn,
            Err(_) => Withdrawal::Claimed(self.began(number)),
        }
    }

    /// Returns when the worker has claimed a task, or `None` if it has not.
    pub(in crate::pool) fn claimed(&self, number: u64) -> Option<Duration> {
        let state = claim(&self.mapping, number).load(Ordering::Acquire);
        (state == Claim::Claimed.of(number)).then(|| self.began(number))
    }

    fn began(&self, number: u64) -> Duration {
        Duration::from_nanos(began(&self.mapping, number).load(Ordering::Relaxed))
    }

    /// Whether an answer has arrived.
    pub(in crate::pool) fn has_answer(&self) -> bool {
        self.answers.has_more()
    }

    /// Takes the next answer, which has this head. Its bytes replace those of `bytes`.
    pub(in crate::pool) fn answer(&mut self, head: Head, mut bytes: Vec<u8>) -> Answer {
        bytes.clear();
        // Before the record is taken: its packet is there then.
        let fds = if head.flags & flags::PACKET == 0 {
            Ok(Vec::new())
        } else {
            self.packet(head.number)
        };
        self.answers.take(head, &mut bytes);
        let answered = Claim::Answered.of(head.number);
        claim(&self.mapping, head.number).store(answered, Ordering::Relaxed);
        Answer {
            parcel: fds.map(|fds| Parcel {
                bytes,
                fds,
                form: form_of(head.flags),
            }),
            began: self.began(head.number),
            loan: loan_bit(head.memory).map(|bit| Loan {
                mapping: Arc::clone(&self.mapping),
                bit,
            }),
            is_tired: head.flags & flags::TIRED != 0,
        }
    }

    /// Returns the head of the next answer, which has the number of its task.
    pub(in crate::pool) fn next_answer(&self) -> Option<Head> {
        self.answers.peek()
    }

    fn packet(&self, number: u64) -> io::Result<Vec<OwnedFd>> {
        let packet = match self.carrier.receive(number) {
            // The worker has died, and had not taken all of our packets. The system says so once,
            // before it hands out those of the worker.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.carrier.receive(number)
            }
            received => received,
        };
        packet?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the worker has said that it is ready.
    pub(in crate::pool) fn is_ready(&self) -> bool {
        flag(&self.mapping, word::READY).load(Ordering::Acquire) != 0
    }

    pub(in crate::pool) fn glance(&self) -> Glance {
        Glance(Arc::clone(&self.mapping))
    }

    /// Lets the worker end when it has done what it has.
    pub(in crate::pool) fn close(&self) {
        flag(&self.mapping, word::CLOSED).store(1, Ordering::Release);
        self.ring();
    }
}

/// A look at a lane from outside, without the lock of the pool.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Glance(Arc<Mapping>);

impl Glance {
    /// Whether there is an answer that the pool has not taken.
    pub(in crate::pool) fn has_answer(&self) -> bool {
        let word = |at| self.0.get::<AtomicU64>(at).load(Ordering::Acquire);
        word(word::ANSWERS.sent) != word(word::ANSWERS.taken)
    }
}
