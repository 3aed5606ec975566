//! What the tests share: deadlines, start methods, and looks at what was left behind.

pub mod net;
pub mod python;

use nix::sys::signal::SigSet;
use procession::{
    Builder, Child, Process, StartMethod, process, set_exit_grace, set_start_method, stop_helper,
};
use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Every start method, for the tests of what does not depend on it.
pub const METHODS: [StartMethod; 3] = [
    StartMethod::ForkServer,
    StartMethod::Spawn,
    StartMethod::Fork,
];

/// The variable that tells a program of the tests which start method to use.
const VARIABLE: &str = "TEST_START_METHOD";

/// Has a program that a test runs use this start method, if it calls [`use_method`].
pub fn with_method(
    program: &mut std::process::Command,
    method: StartMethod,
) -> &mut std::process::Command {
    program.env(VARIABLE, method.to_string())
}

/// Sets the start method that the test has asked for, in a program or in a process of one.
pub fn use_method() {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    if let Some(method) = METHODS.iter().find(|method| method.to_string() == wanted) {
        set_start_method(*method);
    }
}

/// How long a test may take, on a machine that does other things as well.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test once under each start method, each time with a deadline.
///
/// A process with more than one thread cannot be forked, and a test is never alone in its process: under that method it runs in one
/// of its own, where it must not start threads before processes.
///
/// # Panics
///
/// When the test does.
pub fn under_each_method<T: Fn(StartMethod) + Copy + 'static>(test: T) {
    with_each_method(|method| {
        if method == StartMethod::Fork {
            let apart = Builder::new()
                .start_method(StartMethod::Spawn)
                .timeout(DEADLINE);
            let child = apart.spawn(run_forking::<T>::new()).expect("it starts");
            child.join().expect("the test passes");
        } else {
            test(method);
        }
    });
}

/// Runs a test of programs once under each start method, each time with a deadline.
pub fn with_each_method(test: impl Fn(StartMethod)) {
    for method in METHODS {
        within(DEADLINE, || {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| test(method))) {
                eprintln!("under the {method} start method");
                resume_unwind(payload);
            }
        });
    }
}

#[process]
fn run_forking<T: Fn(StartMethod) + Copy + 'static>() {
    change::conjure::<T>()(StartMethod::Fork);
}

/// How long tests that kill processes at random moments go on, at least: more than what each does anyway where
/// `PROCESSION_TORTURE_SECONDS` says so.
///
/// # Panics
///
/// When that is no number.
#[must_use]
pub fn torture_time() -> Duration {
    let seconds = std::env::var("PROCESSION_TORTURE_SECONDS");
    let seconds = seconds.map_or(0, |seconds| seconds.parse().expect("it is a number"));
    Duration::from_secs(seconds)
}

/// Runs a test, and ends the whole program if it takes too long: a test that hangs is a test that failed.
///
/// # Panics
///
/// When the test does.
pub fn within<R>(deadline: Duration, test: impl FnOnce() -> R) -> R {
    let (done, waiting) = mpsc::channel::<()>();
    // A test that fails may leave children, which this process would wait for when it ends.
    set_exit_grace(Duration::from_secs(5));
    let name = thread::current().name().unwrap_or("test").to_owned();
    let watch = thread::spawn(move || {
        if waiting.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} has not ended after {deadline:?}");
            std::process::abort();
        }
    });
    let result = test();
    drop(done);
    watch.join().expect("the watch does not panic");
    result
}

/// Keeps tests that count or kill processes apart from each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The open descriptors of this process, without those for its helper, which is stopped.
///
/// # Panics
///
/// When `/proc` is not mounted.
#[must_use]
pub fn descriptors() -> BTreeSet<String> {
    stop_helper();
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let paths: Vec<_> = entries
        .map(|entry| entry.expect("the listing does not fail").path())
        .collect();
    // The listing had a descriptor of its own, which is gone now.
    let targets = paths
        .into_iter()
        .filter_map(|path| Some((fs::read_link(&path).ok()?, path)));
    targets
        .map(|(target, path)| format!("{} -> {}", path.display(), target.display()))
        .collect()
}

/// The children of this process, zombies included, by any of its threads, without its helper, which is stopped.
///
/// # Panics
///
/// When `/proc` is not mounted.
#[must_use]
pub fn child_ids() -> Vec<u32> {
    stop_helper();
    let mut ids = Vec::new();
    for task in fs::read_dir("/proc/self/task").expect("/proc is mounted") {
        // A thread may end meanwhile.
        let children = task
            .map(|task| task.path().join("children"))
            .and_then(fs::read_to_string);
        ids.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    ids
}

/// Starts a process that does not outlive the test.
///
/// # Panics
///
/// When it does not start.
pub fn start<P: Process>(method: StartMethod, process: P) -> Child<P::Output> {
    let builder = Builder::new().start_method(method).daemon(true);
    builder.spawn(process).expect("it starts")
}

/// Kills a process and waits until it is gone.
///
/// # Panics
///
/// When the system refuses.
pub fn kill<T>(mut child: Child<T>) {
    child.kill().expect("it may be killed");
    child.wait().expect("it may be waited for");
}

/// What may not be left behind: descriptors, children, and how often shared memory is mapped.
///
/// # Panics
///
/// When `/proc` is not mounted.
#[must_use]
pub fn holdings() -> (BTreeSet<String>, Vec<u32>, usize) {
    // First these: the helper has memory too, until it is stopped.
    let (descriptors, children) = (descriptors(), child_ids());
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let mappings = maps.matches("/memfd:procession").count();
    (descriptors, children, mappings)
}

/// How many threads of the library's there are; those of the test harness come and go.
///
/// # Panics
///
/// When `/proc` is not mounted.
#[must_use]
pub fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    // A thread may end meanwhile.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("procession")).count()
}

/// The state letter of a process in `/proc`; none if there is no such process.
#[must_use]
pub fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until `condition` holds, for things that no event tells of.
///
/// # Panics
///
/// When it does not hold in time.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not after 20 s");
        thread::yield_now();
    }
}

/// Waits until the descriptor is at its end: until every holder of the other end is gone.
///
/// # Panics
///
/// When something is read instead.
pub fn read_to_end(reader: impl AsFd) -> String {
    let mut file = fs::File::from(
        reader
            .as_fd()
            .try_clone_to_owned()
            .expect("there are descriptors left"),
    );
    let mut text = String::new();
    io::Read::read_to_string(&mut file, &mut text).expect("the pipe can be read");
    text
}

/// Blocks every signal that can be blocked, in this thread.
///
/// # Panics
///
/// When the system refuses.
pub fn block_signals() {
    SigSet::all()
        .thread_block()
        .expect("signals can be blocked");
}

/// What a test changes of its own process, and safe Rust has no words for.
#[allow(unsafe_code, reason = "each is one call")]
pub mod change {
    use nix::{errno::Errno, libc};

    /// Sets a variable. Only for a process whose other threads do not read the environment meanwhile.
    pub fn variable(name: &str, value: &str) {
        // SAFETY: see above.
        unsafe { std::env::set_var(name, value) };
    }

    /// Makes a value of a type that has only one: a function, or a closure that captures nothing.
    #[must_use]
    pub fn conjure<T: Copy + 'static>() -> T {
        const { assert!(size_of::<T>() == 0, "a test must capture nothing") };
        // SAFETY: without bytes there is nothing to be wrong. A caller has shown by naming the type that it has such a value, which
        // may be copied.
        unsafe { std::mem::transmute_copy(&()) }
    }

    /// Has SIGHUP ignored, or not.
    pub fn hangups_ignored(ignored: bool) {
        let action = if ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: neither action is a handler that could do anything wrong.
        unsafe { libc::signal(libc::SIGHUP, action) };
    }

    /// Ends this thread and no other, without unwinding it.
    pub fn end_this_thread() -> ! {
        // SAFETY: the call takes an integer. What is on this stack stays there for ever, so no other thread loses anything by it.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        unreachable!("a thread that has ended does not go on")
    }

    /// Has SIGCHLD ignored, or not: where it is, the kernel reaps.
    pub fn ends_ignored(ignored: bool) {
        let action = if ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: neither action is a handler that could do anything wrong.
        unsafe { libc::signal(libc::SIGCHLD, action) };
    }

    /// Has a signal handled by a function, which must be safe to call at any moment.
    pub fn handler(signal: i32, handle: extern "C" fn(i32)) {
        let handle = handle as *const () as libc::sighandler_t;
        // SAFETY: it is a function of that form, and see above.
        unsafe { libc::signal(signal, handle) };
    }

    /// Sets the nice value.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn nice(nice: i32) {
        // SAFETY: the call takes three integers.
        Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
            .expect("it may be raised");
    }
}
