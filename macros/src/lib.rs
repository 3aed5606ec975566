//! The macros of `procession`, which re-exports them: depend on that crate, not on this one.

#![forbid(unsafe_code)]

mod args;
mod ast;
mod errors;
mod expand;
mod fallback;
mod types;
mod valid;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a function a process.
///
/// The function stays what it is: called, it runs here. Beside it, under the same name, stands a struct whose fields are the
/// parameters. A value of that struct is a process that has not been started:
///
/// | written | what it does |
/// |---|---|
/// | `task("pl", 2)` | calls the function, in this process |
/// | `task::spawn("pl", 2)?` | starts a child process that calls it, and returns its `Child` |
/// | `task::new("pl", 2)` | builds the process; `spawn` and `Builder::spawn` start it |
/// | `task { name: "pl", seconds: 2 }` | the same, with named arguments |
/// | `task::new("pl", 2).run()` | calls the function, in this process |
///
/// # Parameters and output
///
/// Every parameter and the output must be `Transfer`: whatever serde can carry, and files and sockets. A reference at the top
/// of a parameter's type (`&str`, `&[T]`, `&Path`, `&T`) is sent without a clone, and the child owns what it points to while the
/// function runs; behind a `&'static` reference, or one whose lifetime a trait bound names, it is leaked there. The output
/// cannot be a reference.
///
/// A parameter that is a pattern, such as `_` or `(a, b)`, has no name that a field could have: such a function has `new` and
/// `spawn` but no named arguments. The output of a function that returns `!` is `()`.
///
/// Generic functions work, with all their instances. Type parameters that are sent need the bound
/// `Transfer`.
///
/// The struct and its fields are as visible as the function, so the parameter names of a `pub fn` are part of its interface, and
/// the type it returns must be as visible as the function.
///
/// # Arguments
///
/// The arguments of the attribute are defaults, which a `Builder` overrides:
///
/// | argument | value |
/// |---|---|
/// | `name = ".."` | a string literal, the name of the process; by default that of the function and a number |
/// | `daemon` or `daemon = true` | the process ends with its parent |
/// | `kill_on_drop` or `kill_on_drop = true` | the process ends when its `Child` is dropped |
/// | `backtrace` or `backtrace = true` | a panic has a backtrace |
/// | `start_method = ".."` | `"spawn"` |
/// | `timeout = ..` | a `Duration`, after which the process is killed |
/// | `memory_limit = ..` | bytes, as a `u64` |
/// | `cpu_time_limit = ..` | a `Duration` |
/// | `open_files_limit = ..` | a `u64` |
/// | `nice = ..` | an `i32` |
/// | `crate = ..` | the path of this crate, where it is not `::procession` |
///
/// # What it cannot do
///
/// Processes share no memory, so `&mut` parameters are refused. Methods are refused too: a struct with a method `run` is made a
/// process by `#[derive(Process)]`. So are `unsafe`, `extern`, `const` and `async` functions, and `impl Trait` and `dyn` types.
///
/// # What it generates
///
/// ```text
/// #[process(daemon)]
/// pub fn task(name: &str, seconds: u64) -> usize { .. }
/// ```
///
/// becomes
///
/// ```text
/// pub fn task(name: &str, seconds: u64) -> usize { .. }
///
/// pub struct task<'name> { pub name: &'name str, pub seconds: u64 }
///
/// impl<'name> task<'name> {
///     pub fn new(name: &'name str, seconds: u64) -> Self;
///     pub fn spawn(name: &'name str, seconds: u64) -> Result<Child<usize>>;
///     pub fn run(self) -> usize;
/// }
///
/// impl Process for task<'_> { type Output = usize; .. }
/// ```
#[proc_macro_attribute]
pub fn process(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::process(args.into(), &item.into()).into()
}

/// Makes a struct a process.
///
/// The process runs the struct's own method `run`, which takes `self`, `&self` or `&mut self` and nothing else: what it works on
/// are the fields. Every field must be `Transfer`, with the same freedom for references as the parameters of a function that is
/// made a process by `#[process]`. Structs with named fields, tuple structs and unit structs work, with generic parameters and
/// `where` clauses.
///
/// # Arguments
///
/// The helper attribute `#[process(..)]`, below the derive, takes the arguments of the attribute macro of the same name, and
/// one more:
///
/// | argument | value |
/// |---|---|
/// | `output = ..` | the type that `run` returns; by default `()` |
///
/// # What it generates
///
/// ```text
/// #[derive(Process)]
/// #[process(output = usize)]
/// struct Count { text: String }
/// ```
///
/// becomes
///
/// ```text
/// struct Count { text: String }
///
/// impl Process for Count { type Output = usize; .. }
/// ```
///
/// The method `spawn` is one of the trait, which must be in scope where it is called.
#[proc_macro_derive(Process, attributes(process))]
pub fn derive_process(input: TokenStream) -> TokenStream {
    expand::derive(input.into()).into()
}

/// Lets child processes enter their function from `main`, rather than before it.
///
/// Nothing needs this attribute. Without it a child process enters its function before `main` and before the standard library
/// has set itself up, which a few things can tell. With it the child goes through the same start as every program, reaches the
/// first line of `main` and enters its function there. It never runs the body of `main`.
///
/// It goes on the function `main` of a program, below the attribute of an async runtime if there is one, and takes no arguments
/// but `crate = path`, the path of this crate where it is not `::procession`.
///
/// # What it generates
///
/// ```text
/// #[procession::main]
/// fn main() -> ExitCode { .. }
/// ```
///
/// becomes
///
/// ```text
/// fn main() -> ExitCode {
///     // In a child process: enter its function, and end with it.
///     ..
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(args.into(), &item.into()).into()
}
