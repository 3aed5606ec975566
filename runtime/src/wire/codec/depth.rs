//! How deep values are nested: what is too deep is an error before the stack is used up.

use super::error::{Error, Result};
use crate::sys::overflow;
use std::{cell::Cell, ptr};

/// How deep values may be nested in a message: options, variants, sequences and maps. The same for who writes and who reads.
pub(in crate::wire) const DEEPEST: u32 = 512;

/// Depths that fit into any stack, and cost no look at it.
const FLAT: u32 = 8;

/// What is taken for the size of a stack of which nothing is known.
const UNKNOWN: usize = 256 << 10;

/// How deep a value is that is being written or read.
#[derive(Debug)]
pub(super) struct Depth {
    level: u32,
    /// Where the stack was when this began.
    begin: usize,
    /// How much stack there was at that time.
    room: Option<usize>,
    /// Which part of that a value may take.
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

    /// Says that serde keeps what follows in a form of its own, and goes through that again: then it may take less of the stack.
    /// Returns what was said before, which is to be restored.
    pub(super) fn keep(&mut self) -> usize {
        std::mem::replace(&mut self.part, 4)
    }

    pub(super) fn restore(&mut self, part: usize) {
        self.part = part;
    }

    pub(super) fn leave(&mut self) {
        self.level -= 1;
    }

    /// Goes one deeper, if there is stack for it.
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

/// An address on the stack, about where it ends now.
#[inline(never)]
fn here() -> usize {
    let here = 0_u8;
    ptr::from_ref(&here).addr()
}

/// How much stack there is below an address in it.
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
