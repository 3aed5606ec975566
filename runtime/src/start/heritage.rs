//! What a process has from the one that started it without being told, and what of that a child of the helper has to be told:
//! the helper is as its owner was when the helper was started.

use super::settings::Settings;
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        environment, limits,
        signal::{self, Mask},
        standing::Dispositions,
    },
    wire,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// A variable of the environment.
pub(super) type Variable = (OsString, OsString);

/// What a child inherits from the thread that starts it.
#[derive(Clone, Debug)]
pub(super) struct Heritage {
    pub(super) environment: Vec<Variable>,
    dispositions: Dispositions,
    limits: Vec<limits::Limit>,
    nice: i32,
    /// None where there are more CPUs than can be told.
    affinity: Option<Vec<usize>>,
}

/// In what one heritage differs from another: a field is none, or empty, where it does not.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    environment: Option<Vec<ByteBuf>>,
    umask: Option<u32>,
    /// Which signals were ignored, and which are to be.
    ignored: Option<(Mask, Mask)>,
    limits: Vec<(u8, limits::Limit)>,
    nice: Option<i32>,
    affinity: Option<Vec<usize>>,
}

impl Heritage {
    /// What a child of this thread would inherit now.
    pub(super) fn now(dispositions: Dispositions) -> Result<Self> {
        let limits: std::io::Result<_> = (0..limits::COUNT).map(limits::get).collect();
        Ok(Self {
            environment: env::vars_os().collect(),
            dispositions,
            limits: limits.map_err(|source| Error::os("our limits cannot be read", source))?,
            nice: limits::nice()
                .map_err(|source| Error::os("our nice value cannot be read", source))?,
            affinity: limits::affinity().ok(),
        })
    }

    /// Whether a process that has `other` could not take this on without a privilege.
    pub(super) fn exceeds(&self, other: &Self) -> bool {
        let raised = |(ours, theirs): (&limits::Limit, &limits::Limit)| ours.1 > theirs.1;
        self.nice < other.nice || self.limits.iter().zip(&other.limits).any(raised)
    }

    /// What a process that has `other` has to change to have this, and what the settings change in it.
    pub(super) fn since(&self, other: &Self, settings: &Settings) -> Changes {
        let changed = |differs: bool| differs.then_some(());
        let environment = if settings.changes_environment() {
            Cow::Owned(settings.environment(&self.environment))
        } else {
            Cow::Borrowed(&self.environment)
        };
        let limits = (0..limits::COUNT).zip(self.limits.iter().copied());
        Changes {
            environment: changed(*environment != other.environment)
                .map(|()| environment.iter().map(entry).collect()),
            umask: changed(self.dispositions.umask != other.dispositions.umask)
                .map(|()| self.dispositions.umask),
            ignored: changed(self.dispositions.ignored != other.dispositions.ignored)
                .map(|()| (other.dispositions.ignored, self.dispositions.ignored)),
            limits: limits
                .filter(|(number, limit)| other.limits.get(usize::from(*number)) != Some(limit))
                .collect(),
            nice: changed(self.nice != other.nice).map(|()| self.nice),
            affinity: changed(self.affinity != other.affinity).and(self.affinity.clone()),
        }
    }
}

/// Gives this process, which has one thread, another environment.
pub(super) fn set_environment(variables: &[Variable]) -> Result<()> {
    environment::replace_before_main(variables.iter().map(|variable| entry(variable).into_vec()))
        .map_err(refused("its environment cannot be set"))
}

/// The variable as the environment has it.
fn entry((name, value): &Variable) -> ByteBuf {
    let mut entry = name.clone().into_vec();
    entry.push(b'=');
    entry.extend_from_slice(value.as_bytes());
    ByteBuf::from(entry)
}

impl Changes {
    /// Makes the message that tells of them, which is empty where there are none.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        if *self == Self::default() {
            return Ok(Vec::new());
        }
        wire::encode(self).map_err(|source| {
            Error::new(ErrorKind::Encode, "what it inherits cannot be encoded").because(source)
        })
    }

    /// Whether the stack is to have another limit.
    pub(super) fn limits_stack(&self) -> bool {
        let is_stack = |(number, _): &(u8, _)| i64::from(*number) == i64::from(libc::RLIMIT_STACK);
        self.limits.iter().any(is_stack)
    }

    /// Makes them in this process, which has one thread.
    pub(super) fn apply(self) -> Result<()> {
        if let Some(entries) = self.environment {
            environment::replace_before_main(entries.into_iter().map(ByteBuf::into_vec))
                .map_err(refused("its environment cannot be set"))?;
        }
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
