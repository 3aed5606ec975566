//! Tests of code that must end its process: death tests.
//!
//! [`assert_dies!`](crate::assert_dies) runs a process and checks how it ends. [`DeathTest`] does
//! the same by methods.

mod capture;

use crate::{
    process::{Builder, JoinError, JoinErrorKind, Process, Ran},
    start::{Panic, Stdio},
    sys::{signal, wait},
};
use capture::{Capture, Heard};
use std::{error::Error, fmt, time::Duration};

/// How long a process may run if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest timeout. A test that waits longer is a test that hangs.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The time for the kernel to end a process that this process does not end, because it is stopped
/// or gone.
const LATER: Duration = Duration::from_millis(500);

/// The time for a process that has ended to be reaped.
const REAPED: Duration = Duration::from_secs(10);

/// How many lines of standard error an assertion that fails repeats.
const LINES: usize = 20;

/// How many characters of each of these lines it repeats.
const COLUMNS: usize = 500;

/// How a process is expected to end.
///
/// In [`assert_dies!`](crate::assert_dies) the variants, and the constants of [`names`], need no
/// `use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// In any way, but without a value, and in time.
    Any,
    /// By a panic. Under `panic = "abort"`, this is also the end by `Signal(SIGABRT)`.
    Panic,
    /// With this exit status: it called `exit`. The status of a panic is 101.
    Exit(i32),
    /// By this signal: `Signal(SIGABRT)` for `abort`, a second panic during a panic, a stack
    /// overflow and a failed assertion of C, `Signal(SIGSEGV)` for a bad pointer.
    Signal(i32),
    /// By an abort after the system had refused it memory.
    OutOfMemory,
    /// By its limit of CPU time.
    CpuTime,
    /// Not at all: its function still runs when the timeout is over, and is killed.
    Hang,
}

impl End {
    /// Whether a process has ended in this way. `hung` is whether it ran longer than it may.
    fn is(self, hung: bool, error: &JoinError) -> bool {
        if hung {
            return self == Self::Hang;
        }
        let kind = error.kind();
        match self {
            Self::Any => !matches!(kind, JoinErrorKind::Taken | JoinErrorKind::Os),
            Self::Panic => kind == JoinErrorKind::Panicked,
            Self::Exit(status) => error.status().and_then(|status| status.code()) == Some(status),
            Self::Signal(signal) => error.signal() == Some(signal),
            Self::OutOfMemory => kind == JoinErrorKind::OutOfMemory,
            Self::CpuTime => kind == JoinErrorKind::CpuTimeExceeded,
            Self::Hang => false,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("end without a value"),
            Self::Panic => f.write_str("panic"),
            Self::Exit(status) => write!(f, "exit with status {status}"),
            Self::Signal(signal) => write!(f, "be killed by {}", signal::name(*signal)),
            Self::OutOfMemory => f.write_str("abort for lack of memory"),
            Self::CpuTime => f.write_str("use up its limit of CPU time"),
            Self::Hang => f.write_str("hang"),
        }
    }
}

/// What the second argument of [`assert_dies!`](crate::assert_dies) may name without a `use`: the
/// variants of [`End`] and the numbers of signals.
pub mod names {
    pub use super::End::{Any, CpuTime, Exit, Hang, OutOfMemory, Panic, Signal};
    pub use crate::sys::signal::numbers::*;
}

/// A test that a process ends, by methods instead of [`assert_dies!`](crate::assert_dies).
///
/// # Examples
///
/// ```
/// use procession::{Builder, death::{DeathTest, End}, process};
///
/// #[process]
/// fn leave(status: i32) {
///     std::process::exit(status)
/// }
///
/// let builder = Builder::new().name("leaver");
/// DeathTest::new(leave::new(3)).end(End::Exit(3)).builder(builder).run();
/// ```
#[derive(Debug)]
#[must_use = "a death test does nothing until its `run` is called"]
pub struct DeathTest<P> {
    process: P,
    end: End,
    message: String,
    timeout: Option<Duration>,
    builder: Builder,
}

impl<P: Process> DeathTest<P> {
    /// Returns the test that a process ends without a value.
    pub fn new(process: P) -> Self {
        Self {
            process,
            end: End::Any,
            message: String::new(),
            timeout: None,
            builder: Builder::new(),
        }
    }

    /// Sets how the process must end. By default it is [`End::Any`].
    pub fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Sets a text that must be in what the process writes to its standard error, or in the message
    /// of its panic. By default no text is needed.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets how long the process may run before it is killed. By default it is the timeout of the
    /// builder or of the attribute, or else ten seconds. It is never more than an hour.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the settings of the process. Its standard output and standard error are always read by
    /// this test.
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Runs the process, and returns how it ended. Blocks until it has ended, and for the timeout
    /// and half a second at most.
    ///
    /// What the process writes is printed by this thread at the end, by [`print!`] and
    /// [`eprint!`], so that `cargo test` captures it. The first and the last half mebibyte of each
    /// stream are kept. The rest is left out.
    ///
    /// If the process runs too long, it is killed with its descendants. Descendants of a process
    /// that ends by itself run on.
    ///
    /// # Panics
    ///
    /// Panics if the process does not start, returns a value, or does not end as expected. The
    /// message says what was expected, how the process ended, and the last lines of its standard
    /// error.
    #[track_caller]
    pub fn run(self) -> Death {
        let Self {
            process,
            end,
            message,
            timeout,
            builder,
        } = self;
        let timeout = timeout
            .or(builder
                .timeout_of::<P>()
                .filter(|timeout| *timeout != Duration::MAX))
            .unwrap_or(TIMEOUT)
            .min(LONGEST);
        let expected = Expected { end, message };
        let deadline = wait::deadline(timeout);
        let builder = builder
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .timeout(timeout + LATER)
            .kill_on_drop(true);
        let mut child = match builder.spawn(process) {
            Ok(child) => child,
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}"));
                panic!("{error}{}", cause.unwrap_or_default())
            }
        };
        let mut capture = Capture::new(child.stdout.take(), child.stderr.take());
        let heard = capture.until_end(&child, deadline);
        let hung = matches!(heard, Ok(Heard::Deadline));
        if !matches!(heard, Ok(Heard::End)) && child.kill_tree().is_err() {
            // It has changed its user or waits in the kernel. The drop of the child tries again.
            let _ = child.kill();
        }
        capture.drain();
        let (stdout, stderr) = capture.finish();
        print!("{stdout}");
        eprint!("{stderr}");
        let error = match (heard, child.join_timeout(REAPED)) {
            (Err(error), _) => expected.failed(&format!("it cannot be read: {error}"), &stderr),
            (_, Err(error)) => error,
            (_, Ok(Some(_))) if hung => {
                expected.failed("it returned its value after its time", &stderr)
            }
            (_, Ok(Some(_))) => expected.failed("it returned a value", &stderr),
            (_, Ok(None)) => expected.failed("it cannot be killed", &stderr),
        };
        let hung = hung || error.kind() == JoinErrorKind::TimedOut;
        let is_on_its_way = hung && error.ran() == Ran::No;
        if is_on_its_way || !expected.end.is(hung, &error) {
            let how = if is_on_its_way {
                format!("it had not reached its function after {timeout:?} and was killed")
            } else if hung {
                format!("it still ran after {timeout:?} and was killed")
            } else {
                error.to_string()
            };
            expected.failed(&how, &stderr);
        }
        let panic = error.panic().map_or("", Panic::message);
        if !(stderr.contains(&expected.message) || panic.contains(&expected.message)) {
            expected.failed(&format!("it did not say that: {error}"), &stderr);
        }
        Death {
            error,
            stdout,
            stderr,
        }
    }
}

/// What a test expects.
struct Expected {
    end: End,
    message: String,
}

impl Expected {
    #[track_caller]
    fn failed(&self, how: &str, stderr: &str) -> ! {
        let lines: Vec<_> = stderr.lines().collect();
        let mut said = String::new();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            said.push_str("\n  | ");
            said.extend(line.chars().take(COLUMNS));
        }
        let what = if said.is_empty() {
            "it wrote nothing to its standard error"
        } else {
            "the last lines of its standard error:"
        };
        panic!("the process should {self}, but {how}\n{what}{said}")
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end.fmt(f)?;
        if !self.message.is_empty() {
            write!(f, " and say {:?}", self.message)?;
        }
        Ok(())
    }
}

/// How a process has ended, as a death test has seen it.
#[derive(Debug)]
pub struct Death {
    error: JoinError,
    stdout: String,
    stderr: String,
}

impl Death {
    /// Returns the error of joining the process. For [`End::Hang`] it says that this process has
    /// killed it.
    #[must_use]
    pub fn error(&self) -> &JoinError {
        &self.error
    }

    /// Returns what the process wrote to its standard output. Bytes that are not UTF-8 are
    /// replaced.
    #[must_use]
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Returns what the process wrote to its standard error. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

/// Asserts that a process dies: runs it, and checks how it ends and what it says.
///
/// It works in any test, under `cargo test` and other runners, and needs no [`main`] of its own.
/// What the process writes is captured as the output of the test is.
///
/// # Arguments
///
/// 1. The process: a call `task(x)` of a [`#[process]`](macro@crate::process) function, which does
///    not run here, or a value that is a process, such as `task::new(x)`. If the struct of the
///    function has another name, as with `#[process(struct = Worker)]`, write `Worker(x)`.
///    Every call is taken for one of such a function: put another call in parentheses.
/// 2. How it must end: a variant of [`End`](crate::death::End), which needs no `use`, and neither
///    do the numbers of signals. Without it, every end will do but a value.
/// 3. A text that must be in what the process writes to its standard error, or in the message of
///    its panic. Without it, no text is needed.
///
/// The second and the third may be left out, one or both, if the third is a literal. Then settings
/// may follow:
///
/// - `timeout = Duration::from_secs(1)`: how long the process may run. By default it is the timeout
///   of its attribute, or ten seconds.
/// - `builder = Builder::new()..`: its settings.
///
/// The macro returns a [`Death`](crate::death::Death) for further checks.
/// [`DeathTest`](crate::death::DeathTest) is the same by methods.
///
/// [`main`]: macro@crate::main
///
/// # Panics
///
/// Panics as [`DeathTest::run`](crate::death::DeathTest::run) does.
///
/// # Examples
///
/// ```
/// use procession::{assert_dies, process};
/// use std::time::Duration;
///
/// #[process]
/// fn depth(n: u64) -> u64 {
///     if n == u64::MAX { 0 } else { 1 + depth(std::hint::black_box(n + 1)) }
/// }
///
/// #[process]
/// fn leave(status: i32) {
///     eprintln!("no more of this");
///     std::process::exit(status)
/// }
///
/// #[process]
/// fn hang() {
///     loop {
///         std::thread::park();
///     }
/// }
///
/// # fn main() {
/// // #[test] fn ..
/// assert_dies!(depth(0), Signal(SIGABRT), "overflow");
/// assert_dies!(leave(3), Exit(3), "no more");
/// assert_dies!(hang(), Hang, timeout = Duration::from_millis(100));
/// let death = assert_dies!(leave(4), "of this");
/// assert_eq!(death.stderr(), "no more of this\n");
/// # }
/// ```
#[doc(alias = "EXPECT_DEATH")]
#[doc(alias = "EXPECT_EXIT")]
#[doc(alias = "ASSERT_DEATH")]
#[doc(alias = "should_abort")]
#[macro_export]
macro_rules! assert_dies {
    ($($test:tt)+) => {
        $crate::__assert_dies!(@process [] [$($test)+] $($test)+)
    };
}

/// The steps of [`assert_dies!`](crate::assert_dies).
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_dies {
    // The process: a path and arguments. The path is gathered word by word. `[..]` is all of the
    // test, for a process that is another expression.
    (@process [$($path:tt)+] [$($test:tt)*] :: new ($($args:tt)*) $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(
            @rest [$crate::death::DeathTest::new($($path)+ :: new($($args)*))] [end] $($($rest)*)?
        )
    };
    (@process [$($path:tt)+] [$($test:tt)*] ($($args:tt)*) $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(
            @rest [$crate::death::DeathTest::new($($path)+ :: new($($args)*))] [end] $($($rest)*)?
        )
    };
    (@process [$($path:tt)+] [$($test:tt)*] :: < $($rest:tt)*) => {
        $crate::__assert_dies!(@generics [$($path)+ :: <] [<] [$($test)*] $($rest)*)
    };
    (@process [$($path:tt)*] [$($test:tt)*] :: $($rest:tt)*) => {
        $crate::__assert_dies!(@process [$($path)* ::] [$($test)*] $($rest)*)
    };
    (@process [$($path:tt)*] [$($test:tt)*] $next:ident $($rest:tt)*) => {
        $crate::__assert_dies!(@process [$($path)* $next] [$($test)*] $($rest)*)
    };
    (@process [$($path:tt)*] [$process:expr $(, $($rest:tt)*)?] $($unread:tt)*) => {
        $crate::__assert_dies!(@rest [$crate::death::DeathTest::new($process)] [end] $($($rest)*)?)
    };

    // Generic arguments, up to the last `>`. The second list has a `<` for each that is open.
    (@generics [$($path:tt)*] [<] [$($test:tt)*] > $($rest:tt)*) => {
        $crate::__assert_dies!(@process [$($path)* >] [$($test)*] $($rest)*)
    };
    (@generics [$($path:tt)*] [< $($open:tt)+] [$($test:tt)*] > $($rest:tt)*) => {
        $crate::__assert_dies!(@generics [$($path)* >] [$($open)+] [$($test)*] $($rest)*)
    };
    (@generics [$($path:tt)*] [< <] [$($test:tt)*] >> $($rest:tt)*) => {
        $crate::__assert_dies!(@process [$($path)* >>] [$($test)*] $($rest)*)
    };
    (@generics [$($path:tt)*] [< < $($open:tt)+] [$($test:tt)*] >> $($rest:tt)*) => {
        $crate::__assert_dies!(@generics [$($path)* >>] [$($open)+] [$($test)*] $($rest)*)
    };
    (@generics [$($path:tt)*] [$($open:tt)+] [$($test:tt)*] < $($rest:tt)*) => {
        $crate::__assert_dies!(@generics [$($path)* <] [< $($open)+] [$($test)*] $($rest)*)
    };
    (@generics [$($path:tt)*] [$($open:tt)+] [$($test:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__assert_dies!(@generics [$($path)* $next] [$($open)+] [$($test)*] $($rest)*)
    };

    // The rest. `[end]` and `[message]` say what the next expression is.
    (@rest [$($so_far:tt)*] [$($next:ident)?]) => {
        $($so_far)*.run()
    };
    (@rest [$($so_far:tt)*] [$($next:ident)?] timeout = $timeout:expr $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(@rest [$($so_far)*.timeout($timeout)] [] $($($rest)*)?)
    };
    (@rest [$($so_far:tt)*] [$($next:ident)?] builder = $builder:expr $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(@rest [$($so_far)*.builder($builder)] [] $($($rest)*)?)
    };
    (@rest [$($so_far:tt)*] [$next:ident] $message:literal $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(@rest [$($so_far)*.message($message)] [] $($($rest)*)?)
    };
    (@rest [$($so_far:tt)*] [end] $end:expr $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(
            @rest
            [$($so_far)*.end({
                #[allow(unused_imports)]
                use $crate::death::names::*;
                $end
            })]
            [message]
            $($($rest)*)?
        )
    };
    (@rest [$($so_far:tt)*] [message] $message:expr $(, $($rest:tt)*)?) => {
        $crate::__assert_dies!(@rest [$($so_far)*.message($message)] [] $($($rest)*)?)
    };
    (@rest [$($so_far:tt)*] [] $($rest:tt)+) => {
        ::core::compile_error!(
            "expected `assert_dies!(task(..), End, \"text\", timeout = .., builder = ..)`, where all but the first may be left out"
        )
    };
}
