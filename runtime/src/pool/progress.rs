//! A progress bar for many jobs, and what is printed meanwhile.

use super::{
    builder::PoolBuilder,
    map::{Map, MapUnordered},
};
use crate::{
    error::{self, Error},
    process::{self, JoinError},
    start::Stdio,
    sys::{fd::AsFd, pipe, wait},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt,
    io::{self, IsTerminal, PipeReader, Read, Write},
    iter::FusedIterator,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process as std_process,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Results with a progress bar, as [`Map::progress`] and [`MapUnordered::progress`] return them.
///
/// The bar tells how many results were returned, how many of them are errors, how many results
/// there are for each second, and how long the rest will take. A job counts when its result is
/// returned by `next`. The total is known if the iterator of the processes knows it
/// ([`size_hint`](Iterator::size_hint)); the bar shows no end otherwise.
///
/// The bar is on standard error. It is hidden in these cases, and the results are returned as ever:
///
/// - Standard error is no terminal, or the variable `TERM` is `dumb` or missing.
/// - Another bar is shown at the moment.
/// - This process is a worker of a pool: its output would be mixed with that of the others.
///
/// After the last result, a line is left that tells the numbers. Dropping it earlier leaves the
/// line too.
///
/// # What is printed meanwhile
///
/// Text that is printed while the bar is shown begins behind the bar, in the same line. The bar is
/// drawn again below. To keep the text and the bar apart:
///
/// - Let the workers print above the bar: [`PoolBuilder::print_above_progress`]. Or give them
///   another [`stdout`](crate::Builder::stdout) and [`stderr`](crate::Builder::stderr).
/// - In this process, print within [`print_above_progress`].
///
/// # Examples
///
/// ```
/// use procession::{Pool, pool::print_above_progress, process};
///
/// #[process]
/// fn resize(width: u32) -> u32 {
///     println!("a worker resizes {width}");
///     width / 2
/// }
///
/// let pool = Pool::builder().workers(2).print_above_progress()?.build()?;
/// for width in pool.map((0..100).map(resize::new)).progress("resizing") {
///     let width = width?;
///     if width % 20 == 0 {
///         print_above_progress(|| println!("this process has {width}"));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the jobs are submitted when the results are asked for"]
pub struct Progress<I> {
    results: I,
    /// How many results were returned.
    returned: u64,
    /// How many of them are errors.
    failed: u64,
    shown: Option<Shown>,
}

impl<I, T> Map<'_, I, T> {
    /// Shows a progress bar on standard error while the results are asked for. See [`Progress`].
    pub fn progress(self, label: impl Into<String>) -> Progress<Self> {
        Progress::new(self, &label.into())
    }
}

impl<I, T> MapUnordered<'_, I, T> {
    /// Shows a progress bar on standard error while the results are asked for. See [`Progress`].
    pub fn progress(self, label: impl Into<String>) -> Progress<Self> {
        Progress::new(self, &label.into())
    }
}

impl<I: Iterator> Progress<I> {
    fn new(results: I, label: &str) -> Self {
        let shown = Shown::new(label);
        if let Some(shown) = &shown {
            shown.set_total(0, results.size_hint());
        }
        Self {
            results,
            returned: 0,
            failed: 0,
            shown,
        }
    }

    fn advance(&mut self, has_failed: impl Fn(&I::Item) -> bool) -> Option<I::Item> {
        let item = self.results.next();
        if let Some(shown) = &self.shown {
            // What a job has printed comes before its result.
            Relay::with_own(Relay::drain);
            if let Some(item) = &item {
                self.returned += 1;
                self.failed += u64::from(has_failed(item));
                shown.set_total(self.returned, self.results.size_hint());
                shown.update(self.returned, self.failed);
            } else {
                self.shown = None;
            }
        }
        item
    }
}

impl<I, T> Iterator for Progress<Map<'_, I, T>> {
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(Result::is_err)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<I, T> FusedIterator for Progress<Map<'_, I, T>> {}

impl<I, T> Iterator for Progress<MapUnordered<'_, I, T>> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(|(_, result)| result.is_err())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<I, T> FusedIterator for Progress<MapUnordered<'_, I, T>> {}

impl<I> fmt::Debug for Progress<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("returned", &self.returned)
            .field("failed", &self.failed)
            .field("is_shown", &self.shown.is_some())
            .finish_non_exhaustive()
    }
}

/// The bar that is shown, if there is one. Whoever prints holds the lock.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hides the progress bar while `act` prints, and shows it again below. If there is no bar, it only
/// calls `act`.
///
/// The lines that `act` prints must be whole. It must not ask for a result of an iterator that has
/// a bar, and must not call this function: that would wait for itself.
///
/// # Examples
///
/// See [`Progress`].
pub fn print_above_progress<R>(act: impl FnOnce() -> R) -> R {
    let bar = bar();
    // A panic within would leave the bar locked for ever.
    let result = match &*bar {
        Some(bar) => bar.suspend(|| catch_unwind(AssertUnwindSafe(act))),
        None => return act(),
    };
    drop(bar);
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// How often the bar is drawn while no result arrives.
const TICK: Duration = Duration::from_millis(100);

/// A bar that is on the terminal.
struct Shown(ProgressBar);

impl Shown {
    fn new(label: &str) -> Option<Self> {
        let target = ProgressDrawTarget::stderr();
        if target.is_hidden() || process::current().worker().is_some() {
            return None;
        }
        let mut shown = bar();
        if shown.is_some() {
            return None;
        }
        let label: String = label
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let bar = ProgressBar::with_draw_target(None, target)
            .with_style(style(ENDLESS))
            .with_prefix(label.trim().to_owned());
        *shown = Some(bar.clone());
        drop(shown);
        bar.enable_steady_tick(TICK);
        Some(Self(bar))
    }

    /// Tells the bar how many results there will be, if that is known.
    fn set_total(&self, returned: u64, left: (usize, Option<usize>)) {
        let (least, most) = left;
        let left = most.filter(|most| *most == least);
        let total = left.and_then(|left| returned.checked_add(u64::try_from(left).ok()?));
        if total == self.0.length() {
            return;
        }
        if let Some(total) = total {
            if self.0.length().is_none() {
                self.0.set_style(style(BOUNDED));
            }
            self.0.set_length(total);
        } else {
            self.0.unset_length();
            self.0.set_style(style(ENDLESS));
        }
    }

    fn update(&self, returned: u64, failed: u64) {
        if failed > 0 {
            self.0.set_message(format!(", {failed} failed"));
        }
        self.0.set_position(returned);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.disable_steady_tick();
        Relay::with_own(Relay::drain);
        let mut shown = bar();
        self.0.set_style(style(ENDED));
        self.0.abandon();
        // The cursor is behind the line.
        // Nothing can be done if the terminal is gone.
        let _ = io::stderr().write_all(b"\n");
        *shown = None;
    }
}

/// What is shown if the total is known.
const BOUNDED: &str = "{prefix} [{wide_bar}] {human_pos}/{human_len}{msg}, {per_sec:1}, {eta} left";

/// What is shown if the total is not known.
const ENDLESS: &str = "{prefix}: {human_pos}{msg}, {per_sec:1}, {elapsed}";

/// What is left in the end.
const ENDED: &str = "{prefix}: {human_pos} done{msg}, {per_sec:1}, in {elapsed}";

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl PoolBuilder {
    /// Lets the workers print above the progress bar, if there is one: what they print comes to
    /// this process first, which prints it in whole lines. See [`Progress`].
    ///
    /// It sets the [`stdout`](crate::Builder::stdout) and the [`stderr`](crate::Builder::stderr) of
    /// the workers. For a worker, they are no terminals then. If standard output or standard error
    /// of this process is no terminal, the workers have it as it is.
    ///
    /// What a job has printed comes before its result if a bar is shown, and soon otherwise. A line
    /// that has no end yet is kept until its end, or until this process ends.
    ///
    /// # Errors
    ///
    /// Fails if the system has no descriptors or threads left.
    pub fn print_above_progress(self) -> error::Result<Self> {
        if ProgressDrawTarget::stderr().is_hidden() {
            return Ok(self);
        }
        let relay = Relay::get()
            .map_err(|source| Error::making("what workers print cannot be passed on", source))?;
        let stdout = io::stdout().is_terminal().then(|| relay.input.clone());
        Ok(self.streams(stdout, Some(relay.input.clone())))
    }
}

/// Passes on to the terminal what the workers print.
///
/// There is one for both of their streams, so that the lines keep their order.
struct Relay {
    /// What the workers write to.
    input: Stdio,
    output: PipeReader,
    /// The line that has no end yet. Whoever reads holds the lock.
    rest: Mutex<Vec<u8>>,
    /// The process that has made it. A copy of it, by a bare `fork`, must not read from it.
    owner: u32,
}

static RELAY: OnceLock<Relay> = OnceLock::new();

/// How much is read at once: as much as a pipe holds, unless somebody has changed that.
const AT_ONCE: usize = 64 << 10;

/// How often is read at the end of this process. A worker that prints all the time must not keep
/// it.
const LAST_READS: usize = 64;

impl Relay {
    /// Returns that of this process. The first call makes it.
    fn get() -> io::Result<&'static Self> {
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(relay) = RELAY.get() {
            return Ok(relay);
        }
        let (output, input) = pipe::make()?;
        let relay = Self {
            input: input.into(),
            output: output.into(),
            rest: Mutex::default(),
            owner: std_process::id(),
        };
        let thread = thread::Builder::new().name("progress".to_owned());
        let relay = RELAY.get_or_init(|| relay);
        thread.spawn(|| relay.run())?;
        process::before_end(|| Self::with_own(Self::end));
        Ok(relay)
    }

    /// Does something with that of this process, if there is one.
    fn with_own(act: fn(&Self)) {
        if let Some(relay) = RELAY.get()
            && relay.owner == std_process::id()
        {
            act(relay);
        }
    }

    /// Passes on all that comes, for ever.
    fn run(&self) {
        while wait::readable(self.output.as_fd(), None).is_ok() {
            self.drain();
        }
    }

    /// Passes on what is there. It blocks only as long as the terminal does.
    fn drain(&self) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = rest.len();
        // Another thread may have read it.
        if !wait::readable(self.output.as_fd(), Some(Instant::now())).unwrap_or(false) {
            return;
        }
        rest.resize(begin + AT_ONCE, 0);
        let read = (&self.output).read(&mut rest[begin..]).unwrap_or(0);
        rest.truncate(begin + read);
        if let Some(end) = rest[begin..].iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = rest.drain(..=begin + end).collect();
            // Nothing can be done if the terminal is gone.
            let _ = print_above_progress(|| io::stderr().write_all(&lines));
        }
    }

    /// Passes on what is left at the end of this process.
    fn end(&self) {
        for _ in 0..LAST_READS {
            self.drain();
        }
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be done if the terminal is gone.
        let _ = io::stderr().write_all(&rest);
        rest.clear();
    }
}
