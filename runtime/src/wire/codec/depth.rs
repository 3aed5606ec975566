//! Limits how deep values are nested, so that a deep value is an error and does not overflow the
//! stack.

use super::error::{Error, Result};
use crate::sys::overflow;
use std::{cell::Cell, ptr};

/// How deep options, variants, sequences and maps may be nested in a message. The limit is the same
/// for the writer and the reader.
pub(in crate::wire) const DEEPEST: u32 = 512;

/// Up to this depth a value fits into any stack, and the stack is not measured.
const FLAT: u32 = 8;

/// The assumed size of a stack whose size is unknown, in bytes.
const UNKNOWN: usize = 256 << 10;

/// The current depth of a value that is being written or read.
#[derive(Debug)]
pub(super) struct Depth {
    level: u32,
    /// The address of the stack at which the value began.
    begin: usize,
    /// How many bytes of stack were left at that time. `None` until it is needed.
    room: Option<usize>,
    /// The value may use `1 / part` of that stack.
    part: usize,
}

impl Depth {
    pub(super) fn new() -> Self {
        Self {
            level: 0,
            begin: here(),
            room: None,
            part: 2,
        }
    }

    /// Lowers the limit on the stack for what follows: serde keeps it in an intermediate form and
    /// goes through that form again. Returns the old limit, for [`restore`](Self::restore).
    pub(super) fn keep(&mut self) -> usize {
        std::mem::replace(&mut self.part, 4)
    }

    pub(super) fn restore(&mut self, part: usize) {
        self.part = part;
    }

    pub(super) fn leave(&mut self) {
        self.level -= 1;
    }

    /// Goes one level deeper. Fails if there are too many levels or too little stack.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.level += 1;
        if self.level > DEEPEST {
            return Err(Error::said(format_args!(
                "it is nested more than {DEEPEST} levels deep"
            )));
        }
        if self.level > FLAT {
            let begin = self.begin;
            let room = *self.room.get_or_insert_with(|| room(begin));
            if begin.saturating_sub(here()) > room / self.part {
                let what = "it is nested too deep for the stack of this thread";
                return Err(Error::said(what));
            }
        }
        Ok(())
    }
}

/// Returns an address near the current end of the stack.
#[inline(never)]
fn here() -> usize {
    let here = 0_u8;
    ptr::from_ref(&here).addr()
}

/// Returns how many bytes of stack there are below an address in it.
fn room(begin: usize) -> usize {
    thread_local! {
        static BOTTOM: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let bottom = BOTTOM.get().or_else(|| overflow::stack_bottom().ok());
    BOTTOM.set(bottom);
    bottom
        .and_then(|bottom| begin.checked_sub(bottom))
        .unwrap_or(UNKNOWN)
}
