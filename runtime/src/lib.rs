//! Processes for Rust, by annotation.
//!
//! One line above a function or a struct makes it run in a process of its own, which hands back a
//! typed result. Use a process to survive a crash, to kill what hangs, to limit memory, to isolate
//! a C library, or to use every core. It is as easy as a thread:
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
//! [`#[process]`](macro@process) leaves the function as it is and adds a struct of the same name,
//! whose fields are the parameters. [`#[derive(Process)]`](derive@Process) makes a process of a
//! struct that has a method `run`. Both types implement [`Process`]. A value of such a type does
//! nothing until it is spawned, either as it is or with the settings of a [`Builder`]:
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
//! The parameters and the output of a process must be [`Transfer`]: everything that serde can
//! carry, and also files and sockets. A parameter may also be a reference.
//!
//! A process has one type before it is spawned, and another type afterwards. So these mistakes are
//! compile errors: to set a daemon after the start, to join before the start, and to join twice.
//!
//! # How it ends
//!
//! [`Child::join`] returns the value of the process or a [`JoinError`]. The error tells these ends
//! apart: a panic (with its message, place and backtrace), an exit, a signal, a timeout, and a kill
//! by this process. If a child cannot reach its function at all, `spawn` returns an [`Error`].
//!
//! A function may return a `Result`, with an [`io::Error`](std::io::Error), an error that serde can
//! carry, an `anyhow::Error`, or any error as a [`RemoteError`]. Then `child.join()??` has one `?`
//! for the process and one for the function. [`assert_dies!`] tests how a process ends.
//!
//! Dropping a [`Child`] does not end the process. When this process ends normally (`main` returns
//! or panics, or `exit` is called), it terminates its [daemons](Builder::daemon) and waits for its
//! other children. Daemons do not outlive this process, however it ends: [`Builder::daemon`] has
//! the one exception.
//!
//! # How a child begins
//!
//! A child is made by executing the program again. The [`StartMethod`] says how often: once, for a
//! helper process that forks all children from then on, or once for each child. A constructor,
//! which runs before `main`, takes the new process to its function. So `main` never runs in a child
//! and needs no special call, and tests need nothing special.
//!
//! Because a child begins so early, it lacks three things: a main thread called `main`; std's
//! message when a thread that the child starts overflows its stack; and, on musl,
//! [`std::env::args`]. If your children need one of these, put [`#[procession::main]`](macro@main)
//! on your `main`. Then children begin there.
//!
//! What `main` sets up for its process, such as a logger, is missing in a child. A function with
//! [`#[procession::init]`](macro@init) sets it up there.
//!
//! A child holds only the descriptors that it was given. It has the environment, the working
//! directory, the limits and the signal mask of the process and thread that spawned it, unless you
//! set others. Its standard input is empty. Statics have the values that they have when the program
//! starts. Nothing else of its parent is in its memory: no value that it was not sent, no variable
//! that was removed for it, and no argument of the program but its name. So a crash of a child, or
//! a flaw in a C library there, shows no secret of the parent. [`StartMethod::Fork`] is different:
//! it copies the process as it is, with everything in it.
//!
//! # What processes share
//!
//! Processes share nothing unless you give it to them. [`sync`] has the locks of [`std::sync`] for
//! processes, with their values inside. [`shm`] has plain shared memory. Both can be sent like any
//! other value. They stay usable when a process that uses them is killed.
//!
//! # Limits
//!
//! - Processes start on Linux 5.10 and later, on x86-64 and aarch64, with glibc or musl. A program
//!   for another system compiles, and its functions run as ever. But `spawn` fails there with
//!   [`ErrorKind::Unsupported`], and so does everything that makes a queue, a pipe, a lock, shared
//!   memory or a connection. On a system that is no Unix there is no module `net`, and no [`Stdio`]
//!   from an open file.
//! - The struct of a function has its name, so no module, type or trait beside it may have that
//!   name, unless the struct is given another one: `#[process(struct = Worker)]`.
//! - By any method but `Fork`, the function must be in the executable. A function in a shared
//!   library cannot be started, and neither can one of a program that was started by naming the
//!   dynamic loader.
//! - A program that is set-user-ID or set-group-ID, or whose file has capabilities, can start
//!   processes by `Fork` only. So can a process whose real and effective user or group differ.
//!   Running it anew would regain what it may have given up, or be taken for that: the error is
//!   [`ErrorKind::Privileged`].
//! - A child that replaces itself by `exec` leaves its timeout behind, which only a join enforces
//!   from then on. A daemon that does so, or that closes descriptors that it does not own, is no
//!   longer killed with its parent. Neither is any daemon while a copy of the parent, made by a
//!   bare `fork`, is alive.
//! - A `waitpid(-1)` of your own takes the exit status of any child, and waits for the helper of
//!   the default start method too: see [`stop_helper`]. The value of a child can be joined all the
//!   same. From Linux 6.15 on its status is found too.
//! - A program that closes descriptors which it does not own, as daemons do with
//!   [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html), must do so before
//!   it starts processes, or call [`stop_helper`] first and have no children.
//! - A seccomp filter that *kills* for unknown system calls must allow these in a process that
//!   starts others: `clone3`, `execve`, `pidfd_open`, `pidfd_send_signal`, `waitid`, `statx`,
//!   `keyctl`, `personality`, `get_mempolicy`, `get_robust_list`, `lsm_get_self_attr`. If it
//!   returns `ENOSYS` instead, another way is used. A filter that is installed after the first
//!   start must not refuse `pidfd_open` or `statx`. `getsockopt` and `execve` are always needed,
//!   except for `Fork`.
//! - A process that is stopped in the moment before it runs the executable anew (`Spawn`, and the
//!   first start by `ForkServer`) holds its parent up until it continues, as it does with
//!   [`std::process::Command`]: the kernel lets a parent wait for that.
//! - [`Child::terminate`] and [`Child::kill`] end one process. What it has started is not ended,
//!   but for its daemons: see [`Child::kill_tree`] and [`Builder::subreaper`].
//! - Queues, locks and shared memory are for processes of one build, in one PID namespace, that
//!   trust each other. Other programs can talk through `net`.

// The floors below serve all features, and each feature alone leaves some of them unused. So does a
// system that is no Unix: `net` is not there.
#![cfg_attr(
    not(all(
        unix,
        feature = "channel",
        feature = "death",
        feature = "net",
        feature = "pool",
        feature = "progress",
        feature = "shm",
        feature = "sync",
        feature = "tracing"
    )),
    allow(
        dead_code,
        rustdoc::broken_intra_doc_links,
        unreachable_pub,
        unused_imports
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate self as procession;

mod call;
#[cfg(feature = "channel")]
#[cfg_attr(docsrs, doc(cfg(feature = "channel")))]
pub mod channel;
#[cfg(feature = "death")]
#[cfg_attr(docsrs, doc(cfg(feature = "death")))]
pub mod death;
mod error;
#[cfg(all(any(test, fuzzing), feature = "channel"))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(all(feature = "net", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod net;
#[cfg(feature = "pool")]
#[cfg_attr(docsrs, doc(cfg(feature = "pool")))]
pub mod pool;
mod process;
#[cfg(feature = "shm")]
#[cfg_attr(docsrs, doc(cfg(feature = "shm")))]
pub mod shm;
mod start;
#[cfg(feature = "sync")]
#[cfg_attr(docsrs, doc(cfg(feature = "sync")))]
pub mod sync;
// The flag `procession_elsewhere` makes Linux count as a system that is not supported.
#[cfg_attr(
    any(
        procession_elsewhere,
        not(all(
            target_os = "linux",
            target_pointer_width = "64",
            any(target_arch = "x86_64", target_arch = "aarch64"),
            any(target_env = "gnu", target_env = "musl")
        ))
    ),
    path = "sys/elsewhere/mod.rs"
)]
mod sys;
#[cfg(feature = "tracing")]
mod trace;
mod wire;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "pool")]
#[cfg_attr(docsrs, doc(cfg(feature = "pool")))]
#[doc(inline)]
pub use pool::{Job, Pool};
pub use process::{
    Builder, Child, Current, Handle, JoinError, JoinErrorKind, Parent, Process, Ran, Worker,
    children, current, join_all, parent, set_exit_grace, wait_any,
};
/// Makes a struct a process: `spawn` calls its method `run` in a child process.
///
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
///
/// A field that is not sent, and has its default value in the child:
///
/// ```
/// use procession::Process;
/// use std::{sync::Mutex, thread::JoinHandle};
///
/// #[derive(Process)]
/// #[process(output = bool)]
/// struct Search {
///     word: String,
///     #[process(skip)]
///     helper: Option<Mutex<JoinHandle<()>>>,
/// }
///
/// impl Search {
///     fn run(self) -> bool {
///         self.word == "needle" && self.helper.is_none()
///     }
/// }
///
/// let helper = Some(Mutex::new(std::thread::spawn(|| ())));
/// assert!(Search { word: "needle".into(), helper }.spawn()?.join()?);
/// # Ok::<(), procession::Error>(())
/// ```
pub use procession_macros::Process;
/// Makes a function run in every child process, before the function of that child.
///
/// A child is a new process, in which the `main` of the program does not run. So what `main` sets
/// up for its process is missing there: a logger, a panic hook, a global configuration. A function
/// with this attribute sets it up. It takes no parameters, and returns nothing or a `Result<(),
/// E>`.
///
/// It may be in any crate of the program, and there may be several, in an order that is not
/// specified. A crate that the program never mentions is not linked: write `use that_crate as _;`.
///
/// The function runs when the settings of the child are applied (its environment, its streams, its
/// limits), and before its arguments are decoded. It runs in children of all start methods, and in
/// their children, but not in the first process of the program: let `main` call it there. A child
/// by [`StartMethod::Fork`] is a copy, which has what its parent had set up, and runs the function
/// all the same: [`Current::start_method`] tells. If the function starts processes, these run it
/// too: it must not do so in each of them.
///
/// If it returns an error or panics, `spawn` fails with [`ErrorKind::Init`] and the reason. It has
/// no time limit but the [`timeout`](Builder::timeout) of the process. Each child pays for it.
///
/// # Beside `#[procession::main]`
///
/// The two do not depend on each other. This one goes on any function, in any crate. It says *what*
/// runs in each child before its function. [`#[procession::main]`](macro@main) goes on the function
/// `main` of a program. It says *where* a child enters: at the beginning of `main`, and not before
/// it. A program may have both.
///
/// # Examples
///
/// ```
/// use procession::process;
/// use std::{io, sync::OnceLock};
///
/// static HOST: OnceLock<String> = OnceLock::new();
///
/// #[procession::init]
/// fn setup() -> io::Result<()> {
///     std::panic::set_hook(Box::new(|info| {
///         eprintln!("{}: {info}", procession::current().name());
///     }));
///     let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
///     HOST.get_or_init(|| host);
///     Ok(())
/// }
///
/// #[process]
/// fn is_set_up() -> bool {
///     HOST.get().is_some()
/// }
///
/// fn main() -> procession::Result<()> {
///     assert!(is_set_up::spawn()?.join()?);
///     assert!(!is_set_up()); // not in this process
///     setup()?; // so this one calls it
///     assert!(is_set_up());
///     Ok(())
/// }
/// ```
pub use procession_macros::init;
/// Lets child processes enter their function at the beginning of `main`, and not before `main`.
///
/// To run something in each child before its function, use [`#[procession::init]`](macro@init).
///
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
/// Makes a function a process: `task::spawn(..)` calls `task(..)` in a child process.
///
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
///
/// # List of arguments
///
/// An argument sets what the method of [`Builder`] with the same name sets. A `Builder` that calls
/// this method overrides the argument, and [`Builder::reset`] gives the setting its default.
///
/// | argument | takes | default | sets |
/// |---|---|---|---|
#[doc = start::arguments_in_docs!()]
/// | `crate = some::path::procession` | a path | `::procession` | the path of this crate |
/// | `struct = Worker` | a name | the name of the function | the name of the struct of a function |
///
/// - A value may be any expression of the type. It is evaluated anew for each spawn, in this
///   process, even if a `Builder` overrides it. It stands outside of the function, so it sees
///   constants and functions, but no parameters.
/// - An argument that takes a `bool` may stand alone: `daemon` is `daemon = true`.
/// - `env("LANG" = "C", "TZ" = zone())` sets two variables, each in the form that shells use.
/// - `env_clear` comes before `env`, whatever their order.
/// - Text in the source that the system would not take is refused: an empty name, a NUL, a `=` in
///   the name of a variable.
/// - A field of a struct with [`#[derive(Process)]`](derive@Process) takes `#[process(skip)]`
///   alone.
/// - There is no argument for [`Builder::authkey`]. A key in the source is in the executable too,
///   where everyone can read it.
pub use procession_macros::process;
pub use start::{
    AuthKey, Panic, Setting, StartMethod, Stdio, authkey, prewarm, set_start_method, stop_helper,
};
pub use wire::{Bulk, Fd, RemoteError, Transfer};

sys::ctor::at_load!(begin);

/// Runs when the program is loaded. A process that is a child does not come back from it.
fn begin() {
    #[cfg(feature = "tracing")]
    trace::listen();
    start::at_load();
}

#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../../examples/README.md")]
mod lecture {}
