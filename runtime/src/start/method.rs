//! The start methods.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

/// How a process is made.
///
/// # Examples
///
/// ```
/// use procession::{Builder, StartMethod, process};
///
/// #[process]
/// fn task() {}
///
/// let child = Builder::new().start_method(StartMethod::Spawn).spawn(task::new())?;
/// assert_eq!(child.start_method(), StartMethod::Spawn);
/// child.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartMethod {
    /// Has the child forked by a helper process, which was started for that by running the executable anew and does nothing else:
    /// as clean a start as [`Spawn`](Self::Spawn) at a fourth of its cost, however large this process is and however many threads
    /// it has.
    ///
    /// The child is a child of this process like any other. It inherits everything from this process and thread that a process
    /// inherits, in the state of the moment, but for the few things listed below. What `pthread_atfork` has registered is not
    /// called. Where a helper cannot do its work, the process is started by [`Spawn`](Self::Spawn), as
    /// [`Child::start_method`](crate::Child::start_method) tells: under a filter that refuses `clone`, with a C library of another
    /// kind, where a library has started a thread in the helper, or where this process has its children in another PID namespace.
    ///
    /// # The helper
    ///
    /// It is started on first use and ends with this process. It is replaced when it has died, and when this process or the
    /// calling thread has become another: its user or group, capabilities, secure bits, filters, namespaces, root directory,
    /// Landlock domain, the label that a security module has given it, session, process group, control group, session keyring,
    /// personality, scheduling policy, timer slack, mitigations of speculation, or policies for memory, huge pages and machine
    /// checks. Where no other helper can be started, as after a `chroot` to a directory without `/proc`, no child can be either.
    ///
    /// A few things cannot be seen, or not at a reasonable cost. When one of them changes, children have it as it was when the
    /// helper was started, until [`stop_helper`](crate::stop_helper) is called:
    ///
    /// - the I/O priority, the score for the out-of-memory killer and the filter for core dumps;
    /// - whether the time stamp counter may be read (`PR_SET_TSC`), and the length of vectors (`PR_SVE_SET_VL`);
    /// - a Landlock domain that only some threads have entered, for the children of the other threads: they may be in it too;
    /// - any Landlock domain, where a filter refuses `get_robust_list` or where the executable may be run but not read.
    ///
    /// # Secrets
    ///
    /// A child is sent the whole environment, and the helper keeps none, so a variable that this process has removed is in no
    /// child that it starts after that. For the same reason `/proc/PID/environ` of such a child shows at most the variables of
    /// the dynamic loader (`LD_*` and `GLIBC_TUNABLES`), which the helper keeps; and a library that keeps what `getenv` returned
    /// when it was loaded finds an empty string there.
    ForkServer,
    /// Runs the executable anew, and enters the function before `main`: the child shares nothing with its parent but what it
    /// is given. Its `/proc/PID/environ` shows the environment that it was started with for as long as it lives.
    Spawn,
    /// Copies this process, as `fork` does: the child has the memory of its parent as it was at that moment, every descriptor, and
    /// nothing needs to be run anew. It has the secrets of its parent too: what this process had in its environment when it was
    /// started is in the memory and in `/proc/PID/environ` of each copy, even if the variable was removed.
    ///
    /// Only a process with one thread can be copied; with more it is an
    /// [`ErrorKind::MultipleThreads`](crate::ErrorKind::MultipleThreads), since what the others are in the middle of would stay so for ever
    /// in the copy. The descriptors that are copied are those of the pipes to other children too: one that waits for the end of its
    /// standard input does so for as long as a copy lives. (A child that was dropped while it runs is waited for by a thread, which counts.) The child runs its function
    /// and ends: nothing of what called `spawn` is returned to, whatever the function does. What was buffered for the standard
    /// output is written before. What this process has registered with `atexit` is not done by the child, unless it calls
    /// [`exit`](std::process::exit).
    Fork,
}

/// The method of processes that name none, as a number that fits an atomic.
static DEFAULT: AtomicU8 = AtomicU8::new(0);

/// Every method, in the order of their numbers.
const ALL: [StartMethod; 3] = [
    StartMethod::ForkServer,
    StartMethod::Spawn,
    StartMethod::Fork,
];

/// Sets the start method of every process that is started from now on and whose [`Builder`](crate::Builder) and attribute name
/// none.
///
/// The setting is this process's own: a child starts with the default again.
///
/// # Examples
///
/// ```
/// use procession::{StartMethod, set_start_method};
///
/// set_start_method(StartMethod::Spawn);
/// ```
pub fn set_start_method(method: StartMethod) {
    let number = ALL
        .iter()
        .position(|other| *other == method)
        .unwrap_or_default();
    DEFAULT.store(u8::try_from(number).unwrap_or_default(), Ordering::Relaxed);
}

impl Default for StartMethod {
    /// Returns what [`set_start_method`] has set, or else [`StartMethod::ForkServer`].
    fn default() -> Self {
        ALL[usize::from(DEFAULT.load(Ordering::Relaxed))]
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForkServer => "forkserver",
            Self::Spawn => "spawn",
            Self::Fork => "fork",
        })
    }
}
