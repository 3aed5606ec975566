//! A ward: a child that is never left behind.

use crate::{
    error::{Error, Result},
    start::patience::LAST_BREATH,
    sys::{
        fd::{AsFd, OwnedFd},
        sentinel::{self, Reaped, Sentinel},
        signal, wait,
    },
};
use std::{
    process::ExitStatus,
    sync::atomic::{AtomicBool, Ordering},
};

/// A child that is killed and reaped when this value is dropped.
#[derive(Debug)]
pub(super) struct Ward {
    /// `None` after it was given away.
    sentinel: Option<Sentinel>,
    reaped: AtomicBool,
}

impl Ward {
    /// Takes charge of the child with this id. If pidfds do not work here, `pipe` tells the end of
    /// the child.
    pub(super) fn new(id: u32, pipe: Option<OwnedFd>) -> Result<Self> {
        match Sentinel::new(id, pipe) {
            Ok(sentinel) => Ok(Self {
                sentinel: Some(sentinel),
                reaped: AtomicBool::new(false),
            }),
            Err(source) => {
                sentinel::put_down(id);
                Err(Error::os("no pidfd to be had", source))
            }
        }
    }

    pub(super) fn sentinel(&self) -> &Sentinel {
        self.sentinel
            .as_ref()
            .expect("it is taken out by value only")
    }

    pub(super) fn give_away(mut self) -> Sentinel {
        self.sentinel.take().expect("it is taken out here only")
    }

    /// Waits for the process to end, and reaps it. Returns `None` if it does not end in time.
    pub(super) fn await_end(&self, patience: std::time::Duration) -> Option<ExitStatus> {
        if !wait::readable(self.sentinel().as_fd(), wait::deadline(patience)).ok()? {
            return None;
        }
        match self.sentinel().reap() {
            Ok(Reaped::Ended(status)) => {
                self.reaped.store(true, Ordering::Relaxed);
                Some(status)
            }
            _ => None,
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if let Some(sentinel) = &self.sentinel
            && !self.reaped.load(Ordering::Relaxed)
        {
            // This fails if the child has rights that this process has given up. But its socket was
            // closed before, which tells it to end.
            let _ = sentinel.signal(signal::SIGKILL);
            let ended = wait::readable(sentinel.as_fd(), wait::deadline(LAST_BREATH));
            // A child that the kernel holds, for example in a read from a broken disk, is not
            // waited for any longer. It stays a zombie when it ends.
            if matches!(ended, Ok(true)) {
                let _ = sentinel.reap();
            }
        }
    }
}
