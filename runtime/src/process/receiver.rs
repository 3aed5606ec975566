//! Calls the user's `run`, whether it takes `self`, `&self` or `&mut self`.
//!
//! Generated code calls `this.run()`. Method resolution finds an inherent method first, then one of
//! a trait that is in scope. It tries `&mut self` last, which [`HasRun`] takes. So a struct without
//! `run` is a compile error with our text.

use std::marker::PhantomData;

/// What the user's `run` returned, and the type that is declared. Its field is private, so that the
/// compiler need not know whether `run` returns at all.
#[derive(Debug)]
pub struct Returned<T, Declared>(T, PhantomData<Declared>);

/// Calls the user's `run`.
pub fn run<Declared, P, T>(process: P, run: impl FnOnce(P) -> T) -> Returned<T, Declared> {
    Returned(run(process), PhantomData)
}

impl<T: Returns<Declared>, Declared> Returned<T, Declared> {
    /// Returns the value, which has the declared type.
    pub fn __output(self) -> Declared {
        self.0.__get()
    }
}

/// A value of the declared output type.
#[diagnostic::on_unimplemented(
    message = "`run` returns `{Self}`, but the output of the process is `{Declared}`",
    label = "`run` returns another type",
    note = "declare what `run` returns with `#[process(output = {Self})]` on the struct"
)]
pub trait Returns<Declared> {
    /// Returns itself.
    fn __get(self) -> Declared;
}

#[diagnostic::do_not_recommend]
impl<T> Returns<T> for T {
    fn __get(self) -> T {
        self
    }
}

/// A `run` that never returns fits the output `()`.
#[diagnostic::do_not_recommend]
impl Returns<()> for Never {
    fn __get(self) {
        self
    }
}

/// The type `!`, which cannot be named yet: what this function pointer returns.
type Never = <fn() -> ! as Pointer>::Output;

/// Names what a function pointer returns.
pub trait Pointer {
    /// What it returns.
    type Output;
}

impl<T> Pointer for fn() -> T {
    type Output = T;
}

/// Takes the place of `Returned::__output` for a future, only to fail with a helpful error.
pub trait AsyncOutput<Declared> {
    /// What `run` returned.
    type Value;
    /// Cannot be called.
    fn __output(&self) -> Declared
    where
        Self::Value: Awaited<Declared>;
}

impl<T: Future, Declared> AsyncOutput<Declared> for Returned<T, Declared> {
    type Value = T;

    fn __output(&self) -> Declared
    where
        T: Awaited<Declared>,
    {
        self.0.refuse()
    }
}

/// What no future implements, for the text of the error.
#[diagnostic::on_unimplemented(
    message = "an `async` method `run` cannot be that of a process",
    label = "`run` returns a future, and nothing would poll it",
    note = "make `run` an ordinary method, and start the async runtime in its body"
)]
pub trait Awaited<Declared> {
    /// Never called.
    fn refuse(&self) -> Declared;
}

/// Takes the place of `Returned::__output` for every other type, also only to fail. Method
/// resolution tries `&mut self` last.
pub trait OtherOutput<Declared> {
    /// What `run` returned.
    type Value;
    /// Cannot be called.
    fn __output(&mut self) -> Declared
    where
        Self::Value: Returns<Declared>;
}

impl<T, Declared> OtherOutput<Declared> for Returned<T, Declared> {
    type Value = T;

    fn __output(&mut self) -> Declared
    where
        T: Returns<Declared>,
    {
        unreachable!("a value of the declared type has been returned by `Returned::__output`")
    }
}

/// The method `run` of a struct that has none. It exists only to fail with a helpful error, as the
/// methods in `misuse` do.
pub trait HasRun {
    /// Cannot be called.
    fn run(&mut self) -> <Self as NeedsRun>::Answer
    where
        Self: NeedsRun,
    {
        self.refuse()
    }
}

impl<T> HasRun for T {}

/// What no type implements, for the text of the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no method `run` that takes `self`, `&self` or `&mut self`",
    label = "`run` is missing",
    note = "a process struct needs a method such as `fn run(self)`: what it works on are the fields of the struct"
)]
pub trait NeedsRun {
    /// What the call would return.
    type Answer;
    /// Never called.
    fn refuse(&mut self) -> Self::Answer;
}
