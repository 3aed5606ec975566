//! The start methods.

use crate::{
    error::{Error, ErrorKind, Result},
    sys,
};
use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

/// The way in which a process is made.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// Lets a helper process fork the child.
    ///
    /// The helper is the executable, run anew. It does nothing but fork children. So a start is as
    /// clean as with [`Spawn`](Self::Spawn) but costs a fourth of it, however large this process is
    /// and however many threads it has.
    ///
    /// The child is a child of this process like any other. It inherits everything that a process
    /// inherits from this process and thread, in the state of the moment of the start. The
    /// exceptions are listed below. Functions that `pthread_atfork` has registered are not called.
    ///
    /// If a helper cannot do its work, the process is started by [`Spawn`](Self::Spawn), and
    /// [`Child::start_method`](crate::Child::start_method) says so. This happens, for example:
    ///
    /// - if a filter or a sandbox refuses `clone` or pidfds;
    /// - with a C library of an unknown kind;
    /// - if a library has started a thread in the helper;
    /// - if this process has its children in another PID namespace;
    /// - if the file size limit of this process is too small for one page of shared memory.
    ///
    /// # The helper
    ///
    /// It is started on first use and ends with this process. It is replaced if it has died. It is
    /// also replaced if one of these has changed in this process or in the calling thread: the user
    /// or group, capabilities, secure bits, filters, namespaces, root directory, Landlock domain,
    /// the label that a security module gives, session, process group, control group, session
    /// keyring, personality, scheduling policy, timer slack, mitigations of speculation, or the
    /// policies for memory, huge pages and machine checks. If no other helper can be started, for
    /// example after a `chroot` to a directory without `/proc`, no child can be started either.
    ///
    /// A few things cannot be seen, or only at a high cost. If one of them changes, children have
    /// it as it was when the helper was started, until [`stop_helper`](crate::stop_helper) is
    /// called:
    ///
    /// - the I/O priority, the score for the out-of-memory killer and the filter for core dumps;
    /// - whether the time stamp counter may be read (`PR_SET_TSC`), and the length of vectors
    ///   (`PR_SVE_SET_VL`);
    /// - a Landlock domain that only some threads have entered: the children of the other threads
    ///   may be in it too;
    /// - any Landlock domain, if a filter refuses `get_robust_list`, or if the executable may be
    ///   run but not read.
    ///
    /// # Secrets
    ///
    /// A child is sent the whole environment, and the helper keeps none. So a variable that this
    /// process has removed is in no child that it starts after that. For the same reason,
    /// `/proc/PID/environ` of such a child shows at most the variables of the dynamic loader
    /// (`LD_*` and `GLIBC_TUNABLES`), which the helper keeps. If a library calls `getenv` when it
    /// is loaded and keeps the result, the string that it keeps is empty in the child.
    ForkServer,
    /// Runs the executable anew, and enters the function before `main`.
    ///
    /// The child shares nothing with its parent except what it is given. Its `/proc/PID/environ`
    /// shows the environment that it was started with, for as long as the child lives.
    Spawn,
    /// Copies this process, as `fork` does.
    ///
    /// The child has the memory of its parent as it was at that moment, and every descriptor. No
    /// program needs to be run. The child has the secrets of its parent too: the environment that
    /// this process was started with is in the memory and in `/proc/PID/environ` of each copy, even
    /// if a variable was removed.
    ///
    /// Only a process with one thread can be copied. With more threads, the start fails with
    /// [`ErrorKind::MultipleThreads`](crate::ErrorKind::MultipleThreads): in the copy, the locks of
    /// the other threads would stay locked, and their changes unfinished, for ever. (If a child is
    /// dropped while it runs, a thread waits for it. That thread counts.)
    ///
    /// The copied descriptors include those of the pipes to other children. A child that waits for
    /// the end of its standard input waits for as long as a copy lives.
    ///
    /// The child runs its function and ends. It never returns to the code that called `spawn`,
    /// whatever the function does. What is buffered for standard output and standard error is
    /// written before the copy is made. What the child buffers is written when it ends. Functions
    /// that this process has registered with `atexit` are not called in the child, unless it calls
    /// [`exit`](std::process::exit).
    Fork,
}

/// Fails if processes cannot be started on this system.
pub(crate) fn check_support() -> Result<()> {
    if sys::IS_SUPPORTED {
        return Ok(());
    }
    let what = "processes can be started on Linux on x86-64 and aarch64 only";
    Err(Error::new(ErrorKind::Unsupported, what))
}

crate::wire::as_name!(StartMethod {
    ForkServer,
    Spawn,
    Fork
});

/// The default method, as an index of [`ALL`], which fits an atomic.
static DEFAULT: AtomicU8 = AtomicU8::new(0);

/// All methods. Each has the index that [`DEFAULT`] stores.
const ALL: [StartMethod; 3] = [
    StartMethod::ForkServer,
    StartMethod::Spawn,
    StartMethod::Fork,
];

/// Sets the start method of every process that is started from now on, unless its
/// [`Builder`](crate::Builder) or its attribute names one.
///
/// The setting holds for this process only: a child begins with the default again.
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
    /// Returns the method that [`set_start_method`] has set, or else [`StartMethod::ForkServer`].
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
