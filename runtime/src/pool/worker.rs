//! The process that does the tasks.

use super::{
    errand::Errand,
    lane::{Attention, Head, LONGEST, Next, Ringer, WorkerEnd},
};
use crate::{
    call::{self, Answer, Call, Entry, Meta, Outcome},
    channel::{Packing, Parcel, Stash},
    error::{Error, ErrorKind, Result},
    process::{Builder, Child, Process},
    start::{self, Failure, Seat, Settings},
    sys::{
        abort, exit,
        fd::{AsFd, OwnedFd},
        futex, image, own,
        segment::Width,
        signal,
    },
    wire::{self, Fd, Incoming, Outgoing, RemoteError, Sink},
};
use std::{
    cell::RefCell,
    io, mem,
    sync::atomic::{AtomicBool, Ordering},
};

/// What a worker is told when it starts.
#[derive(Debug)]
pub(super) struct Worker {
    /// The memory and the socket of its lane, and the memory and the bell of the attention.
    pub(super) fds: [OwnedFd; 4],
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) seed: Option<u64>,
    pub(super) is_global: bool,
    pub(super) initializer: Option<Errand>,
    pub(super) finalizer: Option<Errand>,
    /// The most resident memory, in bytes, after which it wants to be replaced.
    pub(super) max_memory: Option<u64>,
}

/// How a task ended, in the head of its answer.
pub(super) mod outcome {
    pub(in crate::pool) const VALUE: u8 = 0;
    /// The content is a `Panic`.
    pub(in crate::pool) const PANICKED: u8 = 1;
    /// The arguments could not be decoded. The content is a `Failure`.
    pub(in crate::pool) const UNREADABLE: u8 = 2;
    /// The value could not be encoded. The content is a `Failure`.
    pub(in crate::pool) const UNSENDABLE: u8 = 3;
}

/// How a worker ends that is not lost. Otherwise its initializer has failed.
pub(super) type Ended = std::result::Result<(), RemoteError>;

impl Call for Worker {
    type Value = Ended;

    fn __meta() -> &'static Meta {
        static META: Meta = Meta::new("worker");
        &META
    }

    fn __send<'a>(&'a self, to: &mut Outgoing<'a>) -> Result<()> {
        let what = "what a worker is told";
        for fd in &self.fds {
            to.put_now(what, &Fd(fd.as_fd()))?;
        }
        to.put_now(
            what,
            &(
                self.index,
                self.count,
                self.seed,
                self.is_global,
                self.max_memory,
            ),
        )?;
        for errand in [&self.initializer, &self.finalizer] {
            to.put_now(what, errand)?;
        }
        Ok(())
    }

    fn __run(from: &mut Incoming) -> Result<Ended> {
        let mut fd = || from.take::<Fd<OwnedFd>>().map(|Fd(fd)| fd);
        let fds = [fd()?, fd()?, fd()?, fd()?];
        let (index, count, seed, is_global, max_memory) = from.take()?;
        let worker = Self {
            fds,
            index,
            count,
            seed,
            is_global,
            initializer: from.take()?,
            finalizer: from.take()?,
            max_memory,
        };
        from.ready()?;
        Ok(worker.work().map_err(RemoteError::from))
    }

    fn __reply<'a>(value: &'a Ended, to: &mut Outgoing<'a>) -> Result<()> {
        to.put("how a worker ended", value)
    }

    fn __receive(from: &mut Incoming) -> Result<Ended> {
        let value = from.take()?;
        from.ready()?;
        Ok(value)
    }
}

impl Process for Worker {
    type Output = Ended;

    fn spawn(self) -> Result<Child<Ended>> {
        Builder::new().spawn(self)
    }

    fn __defaults() -> Settings {
        let settings = Builder::new().may_have_children(true).kill_on_drop(true);
        settings.__settings()
    }
}

impl Worker {
    /// Does tasks until the pool wants no more of them.
    fn work(self) -> Result<()> {
        own::prepare().map_err(|source| Error::os("it can have no page of its own", source))?;
        let this = own::number();
        let [memory, socket, attention, bell] = self.fds;
        let no_lane = |source: io::Error| Error::os("its lane cannot be opened", source);
        let attention = Attention::open(attention, bell).map_err(no_lane)?;
        let ringer = Ringer::new(attention);
        let mut lane = WorkerEnd::open([memory, socket], ringer).map_err(no_lane)?;
        // A SIGINT from the terminal goes to the whole group of processes. The pool decides what
        // becomes of its workers.
        signal::survive(signal::SIGINT)
            .map_err(|source| Error::os("SIGINT cannot be survived", source))?;
        start::take_seat(Some(Seat {
            index: self.index,
            count: self.count,
            seed: self.seed,
            is_global: self.is_global,
        }));
        if let Some(initializer) = self.initializer {
            initializer.run("the initializer")?;
        }
        lane.ready();
        let stash = lane.stash();
        let mut now = futex::since_boot();
        // The memory of the arguments and of the answer, used again and again.
        let (mut bytes, mut spare) = (Vec::new(), Vec::new());
        loop {
            let next = lane.next(bytes, now).map_err(no_lane)?;
            let Next::Task(head, parcel, began) = next else {
                break;
            };
            start::begin_job(head.job);
            let (kind, answer, arguments) = perform((this, &stash), head.detail, parcel, spare);
            // Those of a large message are not kept.
            bytes = if arguments.capacity() <= LONGEST {
                arguments
            } else {
                Vec::new()
            };
            now = futex::since_boot();
            let took = now.saturating_sub(began).as_nanos();
            let head = Head {
                kind,
                detail: u64::try_from(took).unwrap_or(u64::MAX),
                ..head
            };
            let is_tired = start::wants_rest() || is_large(self.max_memory);
            spare = match lane.answer(head, answer, is_tired) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let kind = outcome::UNSENDABLE;
                    lane.answer(Head { kind, ..head }, failed(&error), is_tired)?
                }
            };
        }
        if let Some(finalizer) = self.finalizer {
            finalizer.run("the finalizer")?;
        }
        Ok(())
    }
}

/// Whether this process has more memory resident than it may have.
fn is_large(most: Option<u64>) -> bool {
    most.is_some_and(|most| own::resident_memory().is_ok_and(|resident| resident > most))
}

/// Whether the function of the task has begun.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

#[expect(
    clippy::unnecessary_wraps,
    reason = "what is called then may fail elsewhere"
)]
fn begin() -> Result<()> {
    HAS_BEGUN.store(true, Ordering::Relaxed);
    // The system may have refused memory before. The task is not responsible for that.
    abort::forget();
    Ok(())
}

/// Packs the value of a task.
#[derive(Debug)]
struct Answering<'s> {
    packing: Packing<'s>,
    /// The memory for the encoded value.
    spare: RefCell<Vec<u8>>,
    parcel: RefCell<Option<Result<Parcel>>>,
}

impl Sink for Answering<'_> {
    fn send(&self, width: Width, bytes: &[u8]) -> io::Result<()> {
        self.packing.send(width, bytes)
    }
}

impl Answer for Answering<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.spare.take();
        bytes.clear();
        bytes
    }

    fn give(&self, value: Outgoing<'_>) {
        *self.parcel.borrow_mut() = Some(self.packing.finish(value, LONGEST));
    }
}

/// Does a task in the process with the number `this`. Returns how it ended, what is said about it,
/// and the memory of its arguments. The value is encoded into the memory of `spare`.
fn perform(
    (this, stash): (u64, &Stash),
    function: u64,
    parcel: io::Result<Parcel>,
    spare: Vec<u8>,
) -> (u8, Parcel, Vec<u8>) {
    HAS_BEGUN.store(false, Ordering::Relaxed);
    let opened = match parcel {
        Ok(parcel) => parcel.open(),
        Err(source) => Err(Error::os("its arguments cannot be received", source)),
    };
    let mut arguments = match opened {
        Ok(arguments) => arguments.when_ready(begin),
        Err(error) => return (outcome::UNREADABLE, failed(&error), spare),
    };
    let Ok(Some(entry)) = image::at::<Entry>(function) else {
        let error = Error::new(ErrorKind::Decode, "its function is not known here");
        return (outcome::UNREADABLE, failed(&error), spare);
    };
    let answering = Answering {
        packing: Packing::with(stash),
        spare: RefCell::new(spare),
        parcel: RefCell::new(None),
    };
    let came = call::perform(entry, &mut arguments, &answering);
    if own::number() != this {
        // This is a copy of the worker, which a bare `fork` has made in the task.
        exit::now(0);
    }
    let (kind, answer) = match came {
        Outcome::Answered => match answering.parcel.take() {
            Some(Ok(parcel)) => (outcome::VALUE, parcel),
            Some(Err(error)) => (outcome::UNSENDABLE, failed(&error)),
            None => unreachable!("the value was given to the answer"),
        },
        Outcome::Failed(error) if HAS_BEGUN.load(Ordering::Relaxed) => {
            (outcome::UNSENDABLE, failed(&error))
        }
        Outcome::Failed(error) => (outcome::UNREADABLE, failed(&error)),
        Outcome::Panicked(payload) => {
            let panic = start::caught(&*payload);
            // Dropping a payload runs the user's code, which could panic again.
            mem::forget(payload);
            if HAS_BEGUN.load(Ordering::Relaxed) {
                (outcome::PANICKED, encoded(&panic))
            } else {
                let what = format!("decoding its arguments {panic}");
                let error = Error::new(ErrorKind::Decode, what);
                (outcome::UNREADABLE, failed(&error))
            }
        }
    };
    (kind, answer, arguments.take_bytes())
}

fn failed(error: &Error) -> Parcel {
    encoded(&Failure::of(error))
}

/// Encodes what is said about a task that has no value. What is too long for a lane is cut.
fn encoded(what: &impl serde::Serialize) -> Parcel {
    let message = Outgoing::from(wire::encode(what).unwrap_or_default());
    Packing::default()
        .finish(message, LONGEST)
        .unwrap_or_default()
}
