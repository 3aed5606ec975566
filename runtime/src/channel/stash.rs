//! Memory files that are used again. The pages of a new one are the most of what a large message
//! costs.

use crate::sys::memfd::Memory;
use std::sync::{Mutex, PoisonError};

/// Memory files that hold no message now.
#[derive(Debug, Default)]
pub(crate) struct Stash(Mutex<Vec<Memory>>);

/// How many files are kept, at most.
const MOST: usize = 8;

/// The longest file that is kept, in bytes.
const LONGEST: u64 = 64 << 20;

impl Stash {
    pub(super) fn take(&self) -> Option<Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a file whose message nobody reads any more, if it is not too long.
    pub(crate) fn keep(&self, memory: Memory) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST && memory.length().is_ok_and(|length| length <= LONGEST) {
            kept.push(memory);
        }
    }
}
