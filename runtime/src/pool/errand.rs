//! A process value that each worker runs by itself: the initializer or the finalizer of a pool.

use crate::{
    call::{__rust_begin_short_backtrace, Answer, Call, Entry, Outcome, perform},
    channel::{Form, Packing, Parcel},
    error::{Error, ErrorKind, Result},
    start::InitOutput,
    sys::{
        fd::{AsFd, OwnedFd},
        image::Place,
        segment::Width,
    },
    wire::{Fd, Incoming, Outgoing, RemoteError, Sink},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{io, panic, sync::Arc};

/// An encoded call, which can be run any number of times.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    name: String,
    entry: Place<Entry>,
    parcel: Arc<Parcel>,
}

impl Errand {
    /// Encodes a call.
    pub(super) fn of<C: Call<Value: InitOutput>>(call: &C) -> Result<Self> {
        let place = Place::of(run::<C> as Entry)
            .map_err(|source| Error::os("our executable cannot be read", source))?;
        let entry = place.ok_or_else(not_in_executable)?;
        let packing = Packing::default();
        let mut message = Outgoing::through(&packing);
        call.__send(&mut message)?;
        Ok(Self {
            name: C::__meta().name().to_owned(),
            entry,
            parcel: Arc::new(packing.finish(message, usize::MAX)?),
        })
    }

    /// Runs it in this process. `what` says what it is.
    pub(super) fn run(self, what: &str) -> Result<()> {
        let failed = || {
            Error::new(
                ErrorKind::Init,
                format!("{what} `{}` has failed", self.name),
            )
        };
        let entry = self
            .entry
            .resolve()
            .map_err(|source| Error::os("our executable cannot be read", source))?
            .ok_or_else(not_in_executable)?;
        let parcel = Arc::into_inner(self.parcel).expect("it was just decoded");
        let mut arguments = parcel.open()?;
        match perform(entry, &mut arguments, &Nothing) {
            Outcome::Answered => Ok(()),
            Outcome::Failed(error) => Err(failed().because(RemoteError::of(&error).into_error())),
            // The panic ends this process, with its message.
            Outcome::Panicked(payload) => panic::resume_unwind(payload),
        }
    }
}

/// Runs a call whose value says only whether it has failed.
fn run<C: Call<Value: InitOutput>>(arguments: &mut Incoming, _: &dyn Answer) -> Result<()> {
    let output = __rust_begin_short_backtrace(|| C::__run(arguments))?;
    let failed = |error: RemoteError| Error::whole(ErrorKind::Init, error.into_boxed_error());
    output.into_result().map_err(failed)
}

pub(super) fn not_in_executable() -> Error {
    let what = "the function is not in the executable: it is in a shared library, or the loader was run by name";
    Error::new(ErrorKind::NotInExecutable, what)
}

/// Takes no value.
#[derive(Debug)]
struct Nothing;

impl Sink for Nothing {
    fn send(&self, _: Width, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Answer for Nothing {
    fn give(&self, _: Outgoing<'_>) {}
}

impl Serialize for Errand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parcel { bytes, fds, form } = &*self.parcel;
        let fds: Vec<_> = fds.iter().map(|fd| Fd(fd.as_fd())).collect();
        let form = (form.spilled, form.bundled);
        (&self.name, &self.entry, bytes, fds, form).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Errand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Parts = (
            String,
            Place<Entry>,
            Vec<u8>,
            Vec<Fd<OwnedFd>>,
            (bool, bool),
        );
        let (name, entry, bytes, fds, form) = Parts::deserialize(deserializer)?;
        let parcel = Parcel {
            bytes,
            fds: fds.into_iter().map(|Fd(fd)| fd).collect(),
            form: Form {
                spilled: form.0,
                bundled: form.1,
            },
        };
        Ok(Self {
            name,
            entry,
            parcel: Arc::new(parcel),
        })
    }
}
