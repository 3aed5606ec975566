//! The macros of `procession`. That crate re-exports them: depend on it and not on this one.

#![forbid(unsafe_code)]

mod args;
mod ast;
mod attrs;
mod errors;
mod expand;
mod fallback;
mod types;
mod valid;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a function a process: `task::spawn(..)` calls `task(..)` in a child process.
///
/// The function itself does not change: a call of it runs in this process. The macro adds a struct
/// with the same name, whose fields are the parameters. A value of that struct is a process that
/// has not been started:
///
/// | written | what it does |
/// |---|---|
/// | `task("pl", 2)` | calls the function, in this process |
/// | `task::spawn("pl", 2)?` | starts a child process that calls it, and returns its `Child` |
/// | `task::new("pl", 2)` | builds the process; `spawn` and `Builder::spawn` start it |
/// | `task { name: "pl", seconds: 2 }` | the same, with named arguments |
/// | `task::new("pl", 2).run()` | calls the function, in this process |
///
/// The struct is `Clone` and `Debug` if all parameters are. It is neither if the type of a
/// parameter is a macro, or if a bound of the function is about a type with a lifetime, as in `&'a
/// T: Trait`.
///
/// The name of the struct can be chosen: with `#[process(struct = Worker)]`, it is
/// `Worker::spawn(..)`. That is of use if a module, a type or a trait has the name of the function.
/// The compiler reports such a clash: "the name `task` is defined multiple times".
///
/// # Parameters and output
///
/// Every parameter and the output must be `Transfer`: a value that serde can carry, or a file or a
/// socket. The output cannot be a reference.
///
/// A parameter may be a reference at the top of its type (`&str`, `&[T]`, `&Path`, `&T`). The value
/// behind it is sent without a clone, and the child keeps it while the function runs. If the
/// reference is `&'static`, or if a trait bound names its lifetime, the child leaks the value.
///
/// A parameter that is a pattern, such as `_` or `(a, b)`, has no name for a field. A function with
/// such a parameter has `new` and `spawn`, but no named arguments. The output of a function that
/// returns `!` is `()`.
///
/// Generic functions work, with all their instances. Type parameters that are sent need the bound
/// `Transfer`. The generic parameters are those of the struct, so `task::<u8>::spawn(1)` names
/// them, and `task::spawn::<u8>(1)` does not compile.
///
/// Lints are set for what is generated as for the function: an `allow` on it holds for the struct
/// too. A function that is neither called nor spawned is reported as dead code.
///
/// The struct and its fields are as visible as the function. So the parameter names of a `pub fn`
/// are part of its interface, and the type that it returns must be as visible as the function.
///
/// # Arguments
///
/// The arguments of the attribute are defaults, which a `Builder` overrides. Each calls the method
/// of `Builder` that has its name. The documentation of `procession::process` has the list.
///
/// # What it cannot do
///
/// The macro refuses:
///
/// - `&mut` parameters, because processes share no memory;
/// - methods: put `#[derive(Process)]` on a struct with a method `run` instead;
/// - `unsafe`, `extern`, `const` and `async` functions, and those with `target_feature`;
/// - `impl Trait` and `dyn` types, closures, and `_` in a type;
/// - parameters and generic parameters that depend on `cfg`;
/// - names of primitive types, such as `usize`, unless the struct has another name.
///
/// A lifetime that a type hides must be written: `Cow<'_, str>`, and not `Cow<str>`. A type with a
/// lifetime, such as `View<'_>`, must be made of owned data when it is deserialized, as `Cow` is.
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

/// Makes a struct a process: `spawn` calls its method `run` in a child process.
///
/// The method `run` takes `self`, `&self` or `&mut self` and nothing else: the fields are its
/// arguments. It may be a method of a trait that the struct implements, if the trait is in scope.
/// Every field must be `Transfer`.
/// References are allowed in the same places as for the parameters of a function with `#[process]`.
/// Structs with named fields, tuple structs and unit structs work, with generic parameters and
/// `where` clauses.
///
/// # Arguments
///
/// The helper attribute `#[process(..)]`, below the derive, takes the arguments of the attribute
/// macro of the same name, and one more:
///
/// | argument | value |
/// |---|---|
/// | `output = ..` | the type that `run` returns; by default `()` |
///
/// A field takes one argument, `#[process(skip)]`. Such a field is not sent. In the child it has
/// the value of `Default`. So its type must be `Default`, and need not be `Transfer`.
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

/// Lets child processes enter their function at the beginning of `main`, and not before `main`.
///
/// No program needs this attribute. Without it, a child process enters its function before `main`,
/// when the standard library has not set itself up. A few things differ there: for example, the
/// main thread has no name. With the attribute, the child starts as every program does, reaches the
/// first line of `main` and enters its function there. It never runs the body of `main`.
///
/// The attribute goes on the function `main` of a program. If an async runtime has an attribute
/// there, this one goes below it. It takes no arguments except `crate = path`, the path of this
/// crate if it is not `::procession`.
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

/// # Arguments
///
/// There are none except `crate = path`, the path of this crate if it is not `::procession`.
///
/// # What it generates
///
/// ```text
/// #[procession::init]
/// fn setup() -> io::Result<()> { .. }
/// ```
///
/// becomes
///
/// ```text
/// fn setup() -> io::Result<()> { .. }
/// // A constructor that makes the function known when the program is loaded.
/// ..
/// ```
#[proc_macro_attribute]
pub fn init(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::init(args.into(), &item.into()).into()
}
