//! Processes for Rust, by annotation.
//!
//! A function or a struct with one line above it runs in a process of its own, and hands back a typed result: to survive a
//! crash, to kill what hangs, to bound memory, to contain a C library, to use every core. It is as easy as a thread:
//!
//! ```
//! use procession::process;
//!
//! #[process]
//! fn task(name: &str, times: usize) -> String {
//!     name.repeat(times)
//! }
//!
//! assert_eq!(task("a", 2), "aa"); // still a plain function, which runs here
//! let child = task::spawn("pl", 2)?; // runs in a child process
//! assert_eq!(child.join()?, "plpl"); // its value, or a typed reason why there is none
//! # Ok::<(), procession::Error>(())
//! ```
//!
//! # A process is a value
//!
//! [`#[process]`](macro@process) leaves the function as it is and adds a struct of the same name, whose fields are the parameters.
//! [`#[derive(Process)]`](derive@Process) makes a process of a struct with a method `run`. Either is a value of a type that
//! implements [`Process`], and does nothing until it is spawned, as it is or with the settings of a [`Builder`]:
//!
//! ```
//! use procession::{Builder, Process, process};
//!
//! #[process]
//! fn divide(dividend: u32, divisor: u32) -> u32 {
//!     dividend / divisor
//! }
//!
//! let six = divide::new(42, 7).spawn()?;
//! let seven = divide { divisor: 6, dividend: 42 }.spawn()?;
//! let failed = Builder::new().name("by zero").spawn(divide::new(1, 0))?;
//! assert_eq!((six.join()?, seven.join()?), (6, 7));
//! assert_eq!(failed.join().unwrap_err().panic().unwrap().message(), "attempt to divide by zero");
//! # Ok::<(), procession::Error>(())
//! ```
//!
//! What a process takes and gives must be able to [travel](Transfer): everything that serde can carry, files and sockets, and at the
//! top of a parameter also references. Before and after spawning are two types, so that setting a daemon after the start, joining
//! before it, or joining twice is a compile error.
//!
//! # How it ends
//!
//! Joining a [`Child`] gives its value or a [`JoinError`], which tells a panic (with its message, place and backtrace) from an exit, a
//! signal, a timeout and a kill from here. A child that cannot get to its function at all is an [`Error`] of `spawn`.
//!
//! Dropping a [`Child`] lets the process run on. When this process ends normally (by return, `exit` or a panic of `main`), its
//! [daemons](Builder::daemon) are terminated and its other children waited for. Daemons do not survive it however it ends.
//!
//! # How a child begins
//!
//! The program is run anew: once, as a helper that forks the children from then on, or for each child, as its
//! [`StartMethod`] says. A constructor takes the new process to its work before `main`, which never runs in a child. Nothing
//! is required of `main`, and tests need nothing special. What a child cannot have when it is entered so early is a main thread
//! called `main`, std's message when a thread that it starts overflows its stack, and, on musl, [`std::env::args`]. A program whose
//! children need that puts [`#[procession::main]`](macro@main) on its `main`: then they are entered there.
//!
//! The child holds the descriptors it was given and no others, has the environment, the working directory, the limits and the
//! signal mask of the process and thread that spawned it, unless told otherwise, and reads nothing on its standard input. Statics
//! are as they were at the start of the program. Only [`StartMethod::Fork`] is another matter: it copies the process as it is.
//!
//! # What processes share
//!
//! Nothing, unless they are given it: [`sync`] has the locks of [`std::sync`] for processes, with their values inside, and [`shm`] has
//! plain memory. They travel like any other value, and outlive whoever is killed with them.

// The floors below serve all features, and each feature alone leaves some of them unused.
#![cfg_attr(
    not(all(feature = "channel", feature = "net", feature = "shm", feature = "sync")),
    allow(dead_code, unreachable_pub, unused_imports)
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    any(target_env = "gnu", target_env = "musl")
)))]
compile_error!(
    "procession supports Linux on x86-64 and aarch64, with glibc or musl, and nothing else yet"
);

#[cfg(test)]
extern crate self as procession;

#[cfg(feature = "channel")]
#[cfg_attr(docsrs, doc(cfg(feature = "channel")))]
pub mod channel;
mod error;
#[cfg(all(any(test, fuzzing), feature = "channel"))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod net;
mod process;
#[cfg(feature = "shm")]
#[cfg_attr(docsrs, doc(cfg(feature = "shm")))]
pub mod shm;
mod start;
#[cfg(feature = "sync")]
#[cfg_attr(docsrs, doc(cfg(feature = "sync")))]
pub mod sync;
mod sys;
mod wire;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, ErrorKind, Result};
pub use process::{
    Builder, Child, Current, Handle, JoinError, JoinErrorKind, Parent, Process, Ran, children,
    current, join_all, parent, set_exit_grace, wait_any,
};
/// # Examples
///
/// ```
/// use procession::Process;
///
/// #[derive(Process)]
/// #[process(name = "greeter", output = String)]
/// struct Greeting<'a> {
///     whom: &'a str,
/// }
///
/// impl Greeting<'_> {
///     fn run(&self) -> String {
///         format!("{} greets {}", procession::current().name(), self.whom)
///     }
/// }
///
/// let child = Greeting { whom: "you" }.spawn()?;
/// assert_eq!(child.join()?, "greeter greets you");
/// # Ok::<(), procession::Error>(())
/// ```
pub use procession_macros::Process;
/// # Examples
///
/// ```standalone_crate
/// use procession::process;
///
/// #[process]
/// fn whoami() -> Option<String> {
///     std::thread::current().name().map(str::to_owned)
/// }
///
/// #[procession::main]
/// fn main() -> procession::Result<()> {
///     assert_eq!(whoami::spawn()?.join()?.as_deref(), Some("main"));
///     Ok(())
/// }
/// ```
pub use procession_macros::main;
/// # Examples
///
/// ```
/// use procession::{Transfer, process};
/// use std::time::Duration;
///
/// #[process(timeout = Duration::from_secs(10))]
/// fn largest<T: Transfer + Ord + Clone>(values: &[T]) -> Option<T> {
///     values.iter().max().cloned()
/// }
///
/// assert_eq!(largest::spawn(&vec![3, 8, 5])?.join()?, Some(8));
/// # Ok::<(), procession::Error>(())
/// ```
pub use procession_macros::process;
pub use start::{
    AuthKey, Panic, StartMethod, Stdio, authkey, prewarm, set_start_method, stop_helper,
};
pub use wire::{Bulk, Fd, Transfer};

#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../../examples/README.md")]
mod lecture {}
