//! The trait behind `#[process]` and `#[derive(Process)]`.

use super::{
    Child,
    misuse::{
        NeedsDetach, NeedsId, NeedsIsAlive, NeedsJoin, NeedsJoinTimeout, NeedsKill, NeedsShutdown,
        NeedsSignal, NeedsTerminate, NeedsTryJoin, NeedsWait,
    },
};
use crate::{call::Call, error::Result, start::Settings};

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
pub trait Process: Call<Value = <Self as Process>::Output> {
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

    /// Returns the settings of the attribute.
    #[doc(hidden)]
    #[must_use]
    fn __defaults() -> Settings {
        Settings::default()
    }

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
