//! What the tests share: deadlines, start methods, and looks at what was left behind.

mod alone;
pub mod change;
mod directory;
mod left;
pub mod net;
pub mod python;
mod refuse;

pub use alone::{alone, alone_within, is_alone};
pub use directory::Directory;
pub use left::{child_ids, descriptors, holdings, threads};
pub use refuse::{refuse, refuse_some};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, Signal, kill as send},
    unistd::Pid,
};
use procession::{Builder, Child, Process, StartMethod, process, set_exit_grace, set_start_method};
use std::{
    error::Error,
    fs, io,
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

#[doc(hidden)]
pub use procession as __procession;

/// Declares a process, with the path of the crate as it is here.
#[macro_export]
macro_rules! declare_process {
    ($name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        #[$crate::__procession::process(crate = $crate::__procession)]
        fn $name($($argument: $ty),*) -> $output $body
    };
    ($name:ident { $field:ident: $ty:ty }) => {
        #[derive($crate::__procession::Process)]
        #[process(crate = $crate::__procession, output = $ty)]
        struct $name<'a> {
            $field: &'a $ty,
        }
    };
}

/// Every start method, for the tests of what does not depend on it.
pub const METHODS: [StartMethod; 3] = [
    StartMethod::ForkServer,
    StartMethod::Spawn,
    StartMethod::Fork,
];

/// The methods that run the executable anew.
pub const ANEW: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Spawn];

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

/// Whether this process is a child that was set up by this crate.
pub static WAS_SET_UP: AtomicBool = AtomicBool::new(false);

#[procession::init]
fn set_up() {
    WAS_SET_UP.store(true, Ordering::Relaxed);
}

/// Runs a test once under each start method, each time with a deadline.
///
/// A process with more than one thread cannot be forked, and a test is never alone in its process:
/// under that method it runs in one of its own, where it must not start threads before processes.
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

/// Runs a test once under each start method, as [`under_each_method`] does, in a process of its
/// own.
///
/// # Panics
///
/// As [`alone`] does.
pub fn alone_under_each_method<T: Fn(StartMethod) + Copy + 'static>(test: T) {
    alone(|| under_each_method(test));
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

/// Runs a test, and ends the whole program if it takes too long: a test that hangs is a test that
/// failed.
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

/// Returns a builder with this start method.
pub fn by(method: StartMethod) -> Builder {
    Builder::new().start_method(method)
}

/// Starts a process.
///
/// # Panics
///
/// When it does not start.
#[track_caller]
pub fn spawn<P: Process>(method: StartMethod, process: P) -> Child<P::Output> {
    by(method).spawn(process).expect("it starts")
}

/// Starts a process that does not outlive the test.
///
/// # Panics
///
/// When it does not start.
#[track_caller]
pub fn start<P: Process>(method: StartMethod, process: P) -> Child<P::Output> {
    by(method).daemon(true).spawn(process).expect("it starts")
}

/// Runs a process, and returns its value.
///
/// # Panics
///
/// When it does not start, and when it returns no value.
#[track_caller]
pub fn run<P: Process>(method: StartMethod, process: P) -> P::Output {
    spawn(method, process).join().expect("it returns a value")
}

/// Sleeps until it is killed.
pub fn forever() -> ! {
    loop {
        thread::park();
    }
}

/// Sends a signal to a process without its [`Child`], as somebody else does.
///
/// # Panics
///
/// When the system refuses.
#[track_caller]
pub fn send_signal(id: u32, signal: Signal) {
    send(Pid::from_raw(id.cast_signed()), signal).expect("it may be signalled");
}

/// Whether there is something to read, or an end.
///
/// # Panics
///
/// When the system refuses.
#[must_use]
pub fn is_readable(fd: impl AsFd) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).expect("it can be polled") == 1
}

/// What an error says, and what each of its causes says.
#[must_use]
pub fn chain(error: &dyn Error) -> Vec<String> {
    let causes = error.source().map(chain).unwrap_or_default();
    [vec![error.to_string()], causes].concat()
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
