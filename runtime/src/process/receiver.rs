//! Calls the user's `run`, whether it takes `self`, `&self` or `&mut self`.
//!
//! Generated code writes `run::<Self, _, _>(Self::run, this)`. The path finds an inherent function
//! first, and then one of a trait that is in scope. If there is neither, [`HasRun`] gives the
//! compile error its text.

/// A function that takes a process by `self`, `&self` or `&mut self`.
#[diagnostic::on_unimplemented(
    message = "`{P}` has no method `run` that takes `self`, `&self` or `&mut self` and nothing else",
    label = "`run` has other parameters",
    note = "a process struct needs a method such as `fn run(self)`: what it works on are the fields of the struct"
)]
pub trait Run<P, Receiver> {
    /// What the function returns.
    type Output;
    /// Calls the function.
    fn call(self, process: P) -> Self::Output;
}

/// Markers for the three receivers. They keep the three impls apart.
mod by {
    #[derive(Debug)]
    pub struct Value(());
    #[derive(Debug)]
    pub struct Ref(());
    #[derive(Debug)]
    pub struct Mut(());
}

impl<P, O, F: FnOnce(P) -> O> Run<P, by::Value> for F {
    type Output = O;

    fn call(self, process: P) -> O {
        self(process)
    }
}

impl<P, O, F: FnOnce(&P) -> O> Run<P, by::Ref> for F {
    type Output = O;

    fn call(self, process: P) -> O {
        self(&process)
    }
}

impl<P, O, F: FnOnce(&mut P) -> O> Run<P, by::Mut> for F {
    type Output = O;

    fn call(self, mut process: P) -> O {
        self(&mut process)
    }
}

/// What the user's `run` returned. Its field is private, so that the compiler need not know whether
/// `run` returns at all.
#[derive(Debug)]
pub struct Returned<T>(T);

/// Calls the user's `run`.
pub fn run<P, Receiver, F: Run<P, Receiver>>(run: F, process: P) -> Returned<F::Output> {
    Returned(run.call(process))
}

/// A value of the declared output type.
#[diagnostic::on_unimplemented(
    message = "`run` returns `{Self}`, but the output of the process is `{Declared}`",
    label = "`run` returns another type",
    note = "declare what `run` returns with `#[process(output = {Self})]` on the struct"
)]
pub trait Returns<Declared> {
    /// Returns itself.
    fn get(self) -> Declared;
}

#[diagnostic::do_not_recommend]
impl<T> Returns<T> for T {
    fn get(self) -> T {
        self
    }
}

/// A `run` that never returns fits the output `()`.
#[diagnostic::do_not_recommend]
impl Returns<()> for Never {
    fn get(self) {
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

/// Gives the value that `run` returned, if it has the declared type.
pub trait Output {
    /// The type that `run` returns.
    type Value;
    /// Returns the value.
    fn __output<Declared>(self) -> Declared
    where
        Self::Value: Returns<Declared>;
}

impl<T> Output for Returned<T> {
    type Value = T;

    fn __output<Declared>(self) -> Declared
    where
        T: Returns<Declared>,
    {
        self.0.get()
    }
}

/// What no `run` returns, for the text of the error.
#[diagnostic::on_unimplemented(
    message = "an `async` method `run` cannot be that of a process",
    label = "`run` returns a future, and nothing would poll it",
    note = "make `run` an ordinary method, and start the async runtime in its body"
)]
pub trait Awaited<Declared> {
    /// Never called.
    fn get(self) -> Declared;
}

impl<T: Future> Returned<T> {
    /// Takes the place of [`Output::__output`] for a future.
    pub fn __output<Declared>(self) -> Declared
    where
        T: Awaited<Declared>,
    {
        self.0.get()
    }
}

/// Is in scope of the path `Self::run` for the text of the error: it is not implemented for any
/// type. So it is not found where there is a `run`, be it a method of another trait.
pub trait HasRun {
    /// Never called.
    fn run(&self);
}

/// What a struct without `run` lacks. The compiler prints the name of this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no method `run`",
    label = "`run` is missing",
    note = "a process struct needs a method such as `fn run(self)`: what it works on are the fields of the struct"
)]
pub trait HasMethodRun {}

impl<T: HasMethodRun> HasRun for T {
    fn run(&self) {}
}
