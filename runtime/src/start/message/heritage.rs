//! The state that a child inherits from its parent.
//!
//! The helper has the state that its owner had when the helper was started. So its children are
//! sent what has changed since, and the whole environment, which the helper does not keep.

use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        limits,
        signal::{self, Mask},
        standing::Dispositions,
        text,
    },
    wire,
};
use std::ffi::OsString;

/// A variable of the environment: its name and its value.
pub(in crate::start) type Variable = (OsString, OsString);

/// The most bytes that an environment usually has.
const USUAL_LENGTH: usize = 4 << 10;

/// The state that a child inherits from the thread that starts it, apart from the environment.
#[derive(Clone, Debug)]
pub(in crate::start) struct Heritage {
    dispositions: Dispositions,
    limits: Vec<limits::Limit>,
    nice: i32,
    /// `None` if it cannot be read, for example if there are more CPUs than the set has room for.
    affinity: Option<limits::Cpus>,
}

/// The differences between two heritages. A field is `None`, or empty, if nothing differs.
#[derive(Debug, Default)]
pub(in crate::start) struct Changes {
    umask: Option<u32>,
    /// The signals that were ignored before, and those that are to be ignored.
    ignored: Option<(Mask, Mask)>,
    limits: Vec<(u8, limits::Limit)>,
    nice: Option<i32>,
    affinity: Option<Vec<usize>>,
}

wire::as_tuple!(Changes {
    umask,
    ignored,
    limits,
    nice,
    affinity
});

impl Heritage {
    /// Returns the heritage of a child that this thread would start now.
    pub(in crate::start) fn now(dispositions: Dispositions) -> Result<Self> {
        let limits: std::io::Result<_> = (0..limits::COUNT).map(limits::get).collect();
        Ok(Self {
            dispositions,
            limits: limits.map_err(|source| Error::os("our limits cannot be read", source))?,
            nice: limits::nice()
                .map_err(|source| Error::os("our nice value cannot be read", source))?,
            affinity: limits::affinity().ok(),
        })
    }

    /// Whether a process with the heritage `other` needs a privilege to change to this one: to
    /// lower the nice value, or to raise a hard limit.
    pub(in crate::start) fn exceeds(&self, other: &Self) -> bool {
        let raised = |(ours, theirs): (&limits::Limit, &limits::Limit)| ours.1 > theirs.1;
        self.nice < other.nice || self.limits.iter().zip(&other.limits).any(raised)
    }

    /// Returns what a process with the heritage `other` must change to have this one.
    pub(in crate::start) fn since(&self, other: &Self) -> Changes {
        let changed = |differs: bool| differs.then_some(());
        let limits = (0..limits::COUNT).zip(self.limits.iter().copied());
        Changes {
            umask: changed(self.dispositions.umask != other.dispositions.umask)
                .map(|()| self.dispositions.umask),
            ignored: changed(self.dispositions.ignored != other.dispositions.ignored)
                .map(|()| (other.dispositions.ignored, self.dispositions.ignored)),
            limits: limits
                .filter(|(number, limit)| other.limits.get(usize::from(*number)) != Some(limit))
                .collect(),
            nice: changed(self.nice != other.nice).map(|()| self.nice),
            affinity: changed(self.affinity != other.affinity)
                .and(self.affinity.as_ref().map(limits::Cpus::numbers)),
        }
    }
}

/// Returns the variables as one block: entries such as `NAME=value`, each with a NUL behind it.
pub(in crate::start) fn block(variables: impl IntoIterator<Item = Variable>) -> Vec<u8> {
    let mut block = Vec::with_capacity(USUAL_LENGTH);
    for (name, value) in variables {
        block.extend_from_slice(text::bytes(&name));
        block.push(b'=');
        block.extend_from_slice(text::bytes(&value));
        block.push(0);
    }
    block
}

impl Changes {
    /// Encodes the message.
    pub(in crate::start) fn encode(&self) -> Result<Vec<u8>> {
        wire::encode(self).map_err(|source| {
            Error::new(ErrorKind::Encode, "what it inherits cannot be encoded").because(source)
        })
    }

    /// Whether the limit of the stack changes.
    pub(in crate::start) fn limits_stack(&self) -> bool {
        self.limits
            .iter()
            .any(|(number, _)| *number == limits::STACK)
    }

    /// Applies the changes to this process, which has one thread.
    pub(in crate::start) fn apply(self) -> Result<()> {
        if let Some(umask) = self.umask {
            limits::set_umask(umask);
        }
        if let Some((before, ignored)) = self.ignored {
            signal::change_ignored(before, ignored)
                .map_err(refused("the signals it ignores cannot be set"))?;
        }
        for (number, limit) in self.limits {
            limits::set(number, limit)
                .map_err(refused("it cannot have the limits of its parent"))?;
        }
        if let Some(nice) = self.nice {
            limits::set_nice(nice)
                .map_err(refused("it cannot have the nice value of its parent"))?;
        }
        if let Some(cpus) = self.affinity {
            limits::set_affinity(&cpus)
                .map_err(refused("it cannot be bound to the CPUs of its parent"))?;
        }
        Ok(())
    }
}

fn refused(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::new(ErrorKind::Setting, what).because(source)
}
