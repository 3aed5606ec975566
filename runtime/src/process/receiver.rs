//! Calls the user's inherent `run`, whether it takes `self`, `&self` or `&mut self`.
//!
//! Generated code writes `run::<Self, _, _>(Self::run, this)`. A path finds an inherent function
//! before any trait's function. So [`MissingRun`] is found only if there is no inherent `run`, and
//! its `run` cannot be called. So a struct without `run` is a compile error with our text, and
//! never calls anything else.

/// A function that takes a process by `self`, `&self` or `&mut self`.
#[diagnostic::on_unimplemented(
    message = "`{P}` has no method `run` that takes `self`, `&self` or `&mut self` and nothing else",
    label = "`run` is missing or has other parameters",
    note = "a process struct needs an inherent method such as `fn run(self)`: what it works on are the fields of the struct"
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

/// Calls the user's `run`.
pub fn run<P, Receiver, F: Run<P, Receiver>>(run: F, process: P) -> F::Output {
    run.call(process)
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

impl<T> Returns<T> for T {
    fn get(self) -> T {
        self
    }
}

/// Checks that the user's `run` returned the declared type.
pub fn output<Declared, Returned: Returns<Declared>>(returned: Returned) -> Declared {
    returned.get()
}

/// What the path `Self::run` names if the user wrote no `run`.
pub trait MissingRun {
    /// Cannot be called, since its argument has no values.
    fn run(absent: Absent) -> Self;
}

/// A type without values.
#[derive(Debug)]
pub enum Absent {}

impl<T> MissingRun for T {
    fn run(absent: Absent) -> Self {
        match absent {}
    }
}
