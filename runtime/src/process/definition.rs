//! The trait behind `#[process]` and `#[derive(Process)]`.

use super::{
    Child,
    misuse::{
        NeedsDetach, NeedsId, NeedsIsAlive, NeedsJoin, NeedsJoinTimeout, NeedsKill, NeedsShutdown,
        NeedsSignal, NeedsTerminate, NeedsTryJoin, NeedsWait,
    },
};
use crate::{
    error::Result,
    start::Settings,
    wire::{Incoming, Outgoing},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// A value that can run in a process of its own.
///
/// [`#[process]`](macro@crate::process) implements it for functions, and
/// [`#[derive(Process)]`](derive@crate::Process) for structs. Do not implement it by hand. Such a
/// value is a process that has not been started yet. You can build it, pass it around, and give it
/// settings with a [`Builder`](crate::Builder). Nothing happens until it is spawned.
///
/// # Examples
///
/// ```
/// use procession::Process;
///
/// #[derive(Process)]
/// #[process(output = usize)]
/// struct Count {
///     text: String,
/// }
///
/// impl Count {
///     fn run(self) -> usize {
///         self.text.chars().count()
///     }
/// }
///
/// let child = Count { text: "naïve".into() }.spawn()?;
/// assert_eq!(child.join()?, 5);
/// # Ok::<(), procession::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process",
    label = "not a process",
    note = "put `#[process]` on a function and pass what its `new` returns, or `#[derive(Process)]` on a struct"
)]
pub trait Process: Sized {
    /// The type of the value that the process hands back.
    type Output;

    /// Starts the process with the settings of its attribute and the defaults of
    /// [`Builder`](crate::Builder).
    ///
    /// Blocks until the child has reached its function. A child that cannot reach it is an error
    /// here. Afterwards both processes run at the same time, in no certain order.
    ///
    /// # Errors
    ///
    /// See [`Builder::spawn`](crate::Builder::spawn).
    #[doc(alias = "start")]
    fn spawn(self) -> Result<Child<Self::Output>>;

    #[doc(hidden)]
    fn __meta() -> &'static Meta;

    #[doc(hidden)]
    #[must_use]
    fn __defaults() -> Settings {
        Settings::default()
    }

    /// Encodes the arguments, in the parent.
    #[doc(hidden)]
    fn __send<'a>(&'a self, to: &mut Outgoing<'a>) -> Result<()>;

    /// Decodes the arguments and runs the user's code, in the child. It is not called `run`: then
    /// `run(self)` of this trait would take precedence over a user's `run(&mut self)`.
    #[doc(hidden)]
    fn __run(from: &mut Incoming) -> Result<Self::Output>;

    /// Encodes the output, in the child.
    #[doc(hidden)]
    fn __reply<'a>(output: &'a Self::Output, to: &mut Outgoing<'a>) -> Result<()>;

    /// Decodes the output, in the parent.
    #[doc(hidden)]
    fn __receive(from: &mut Incoming) -> Result<Self::Output>;

    // The methods below exist only to fail with a helpful error before `spawn`. They take
    // `&mut self`, which method resolution tries last, so that a user's own methods of these names
    // are found first.

    #[doc(hidden)]
    fn join(&mut self) -> <Self as NeedsJoin>::Answer
    where
        Self: NeedsJoin,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn try_join(&mut self) -> <Self as NeedsTryJoin>::Answer
    where
        Self: NeedsTryJoin,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn join_timeout<A>(&mut self, _argument: A) -> <Self as NeedsJoinTimeout>::Answer
    where
        Self: NeedsJoinTimeout,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn wait(&mut self) -> <Self as NeedsWait>::Answer
    where
        Self: NeedsWait,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn terminate(&mut self) -> <Self as NeedsTerminate>::Answer
    where
        Self: NeedsTerminate,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn kill(&mut self) -> <Self as NeedsKill>::Answer
    where
        Self: NeedsKill,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn signal<A>(&mut self, _argument: A) -> <Self as NeedsSignal>::Answer
    where
        Self: NeedsSignal,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn shutdown<A>(&mut self, _argument: A) -> <Self as NeedsShutdown>::Answer
    where
        Self: NeedsShutdown,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn detach(&mut self) -> <Self as NeedsDetach>::Answer
    where
        Self: NeedsDetach,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn is_alive(&mut self) -> <Self as NeedsIsAlive>::Answer
    where
        Self: NeedsIsAlive,
    {
        self.refuse()
    }

    #[doc(hidden)]
    fn id(&mut self) -> <Self as NeedsId>::Answer
    where
        Self: NeedsId,
    {
        self.refuse()
    }
}

/// What generated code says about a process, apart from its types.
#[derive(Debug)]
pub struct Meta {
    name: &'static str,
    spawned: AtomicU64,
}

impl Meta {
    /// Describes a process called `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            spawned: AtomicU64::new(0),
        }
    }

    /// Returns the next default name: `task-1`, `task-2`.
    pub(super) fn next_name(&self) -> String {
        format!(
            "{}-{}",
            self.name,
            self.spawned.fetch_add(1, Ordering::Relaxed) + 1
        )
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}
