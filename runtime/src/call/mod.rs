//! A call: a function whose arguments come from another process, and whose value goes there.
//!
//! It does not know where it runs: a process is one host of a call.

mod fields;
mod meta;
mod perform;

use crate::{
    error::Result,
    wire::{Incoming, Outgoing, Sink},
};
pub use fields::{debug, skipped};
pub use meta::Meta;
pub(crate) use perform::{__rust_begin_short_backtrace, Outcome, perform};

/// What the macros generate for a function or a struct: how its arguments and its value travel.
///
/// The names of its functions begin with underscores, so that they do not hide functions of the
/// user's: generic code that has a `Process` bound can call them.
#[expect(
    clippy::missing_errors_doc,
    reason = "only generated code and this crate call these functions"
)]
pub trait Call: Sized {
    /// The type of the value.
    type Value;

    /// Describes the call.
    fn __meta() -> &'static Meta;

    /// Encodes the arguments, in the caller.
    fn __send<'a>(&'a self, to: &mut Outgoing<'a>) -> Result<()>;

    /// Decodes the arguments and runs the user's code, in the host.
    fn __run(from: &mut Incoming) -> Result<Self::Value>;

    /// Encodes the value, in the host.
    fn __reply<'a>(value: &'a Self::Value, to: &mut Outgoing<'a>) -> Result<()>;

    /// Decodes the value, in the caller.
    fn __receive(from: &mut Incoming) -> Result<Self::Value>;
}

/// A call in the host, without its types: from the encoded arguments to the encoded value.
pub(crate) type Entry = fn(&mut Incoming, &dyn Answer) -> Result<()>;

/// Takes the value of a call. The value is passed to it, and not returned, because the message
/// borrows from it.
pub(crate) trait Answer: Sink {
    /// Returns memory for the encoded value, to be used again. It is empty.
    fn bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Sends the value.
    fn give(&self, value: Outgoing<'_>);
}

/// Decodes the arguments, runs the function, and encodes the value.
pub(crate) fn entry<C: Call>(arguments: &mut Incoming, answer: &dyn Answer) -> Result<()> {
    let output = __rust_begin_short_backtrace(|| C::__run(arguments))?;
    let mut value = Outgoing::through(answer);
    value.bytes = answer.bytes();
    C::__reply(&output, &mut value)?;
    answer.give(value);
    Ok(())
}

/// The arguments of a call in the caller, without their types.
pub(crate) trait Arguments {
    /// Encodes the arguments.
    fn encode<'a>(&'a self, to: &mut Outgoing<'a>) -> Result<()>;
}

impl<C: Call> Arguments for C {
    fn encode<'a>(&'a self, to: &mut Outgoing<'a>) -> Result<()> {
        self.__send(to)
    }
}
