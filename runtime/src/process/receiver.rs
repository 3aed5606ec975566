//! Calls the user's `run`, whether it takes `self`, `&self` or `&mut self`.
//!
//! Generated code hands `Task::run` to [`run`]. The compiler finds an inherent function of that
//! name first, then one of a trait that is in scope. Which receiver it has, [`Run`] finds from its
//! type. A `run` of another form is a compile error with the text of [`Run`], and a struct without
//! `run` is one with the text of [`NeedsRun`].

use std::marker::PhantomData;

/// What the user's `run` returned, and the type that is declared. Its field is private, so that the
/// compiler need not know whether `run` returns at all.
#[derive(Debug)]
pub struct Returned<T, Declared>(T, PhantomData<Declared>);

/// Calls the user's `run`. It takes the process out of its place, or borrows it there.
pub fn run<'a, Declared, P, Receiver, R: Run<'a, P, Receiver>>(
    process: &'a mut Option<P>,
    run: R,
) -> Returned<R::Value, Declared> {
    Returned(run.call(process), PhantomData)
}

/// A function that takes a process and nothing else. `Receiver` is how it takes it, which the
/// compiler infers.
#[diagnostic::on_unimplemented(
    message = "the method `run` of a process takes `self`, `&self` or `&mut self`, and nothing else",
    label = "`run` cannot be called with the process alone",
    note = "what `run` works on are the fields of the struct: make each parameter a field. `run` can be neither \
            `unsafe` nor `extern`"
)]
pub trait Run<'a, P, Receiver> {
    /// What it returns.
    type Value;
    /// Calls it.
    fn call(self, process: &'a mut Option<P>) -> Self::Value;
}

/// The receiver `self`.
#[derive(Debug)]
pub enum Owned {}

/// The receiver `&self`.
#[derive(Debug)]
pub enum Shared {}

/// The receiver `&mut self`.
#[derive(Debug)]
pub enum Exclusive {}

#[diagnostic::do_not_recommend]
impl<P, T, F: FnOnce(P) -> T> Run<'_, P, Owned> for F {
    type Value = T;

    fn call(self, process: &mut Option<P>) -> T {
        self(process.take().expect(PRESENT))
    }
}

#[diagnostic::do_not_recommend]
impl<'a, P: 'a, T, F: FnOnce(&'a P) -> T> Run<'a, P, Shared> for F {
    type Value = T;

    fn call(self, process: &'a mut Option<P>) -> T {
        self(process.as_ref().expect(PRESENT))
    }
}

#[diagnostic::do_not_recommend]
impl<'a, P: 'a, T, F: FnOnce(&'a mut P) -> T> Run<'a, P, Exclusive> for F {
    type Value = T;

    fn call(self, process: &'a mut Option<P>) -> T {
        self(process.as_mut().expect(PRESENT))
    }
}

const PRESENT: &str = "generated code calls `run` once";

impl<T: Returns<Declared>, Declared> Returned<T, Declared> {
    /// Returns the value, which has the declared type.
    pub fn __output(self) -> Declared {
        self.0.__declared()
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
    fn __declared(self) -> Declared;
}

#[diagnostic::do_not_recommend]
impl<T> Returns<T> for T {
    fn __declared(self) -> T {
        self
    }
}

/// A `run` that never returns fits the output `()`.
#[diagnostic::do_not_recommend]
impl Returns<()> for Never {
    fn __declared(self) {
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

/// Names `run` for a struct that has none. Its bound is never met, so a `run` of the user's is the
/// only one. Where there is none, the compiler gives the text of the bound.
pub trait HasRun {
    /// Cannot be called.
    fn run();
}

#[diagnostic::do_not_recommend]
impl<T: NeedsRun> HasRun for T {
    fn run() {}
}

/// What no type implements, for the text of the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no method `run`",
    label = "`run` is missing",
    note = "a process struct needs a method such as `fn run(self)`: what it works on are the fields of the struct"
)]
pub trait NeedsRun {}
