//! Numbers about a pool.

use super::schedule::Moment;
use crate::process::{JoinError, JoinErrorKind};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Duration,
};

/// A look at a pool at one moment, as [`Pool::stats`](super::Pool::stats) returns it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How many jobs wait for a worker.
    pub queued: usize,
    /// How many jobs run.
    pub running: usize,
    /// How many jobs have ended with a value. Whether it can be decoded here shows when it is
    /// joined.
    pub done: u64,
    /// How many jobs have ended without a value, for each reason.
    pub failed: HashMap<JoinErrorKind, u64>,
    /// The workers that run.
    pub workers: Vec<WorkerStats>,
    /// How many workers another one has taken the place of.
    pub restarts: u64,
    /// The last of them, at most 32, the oldest first.
    pub last_restarts: Vec<Restart>,
    /// How long the jobs have waited for a worker.
    pub queue_wait: Latencies,
    /// How long the jobs have run.
    pub run_time: Latencies,
    /// The jobs that run, at most one for each worker, the longest first.
    pub longest: Vec<RunningJob>,
}

/// Numbers about a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStats {
    /// The index of the worker: see [`Current::worker`](crate::Current::worker).
    pub index: usize,
    /// The id of the process.
    pub id: u32,
    /// The name of the process.
    pub name: String,
    /// How many jobs it has done.
    pub tasks: u64,
    /// How long it has run jobs that have ended.
    pub busy: Duration,
    /// How long it has been there.
    pub age: Duration,
    /// How long it took to start, with its initializer. `None` while it starts.
    pub start_up: Option<Duration>,
}

/// A worker that is no more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restart {
    /// The index of the worker.
    pub index: usize,
    /// Why it ended.
    pub reason: RestartReason,
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestartReason {
    /// It had done as many jobs as it may do, was as old or as large as it may become, asked for
    /// it, or had nothing to do.
    Retired,
    /// It could not be started, or its initializer failed.
    NotStarted,
    /// The pool has killed it for a job that ran too long or was cancelled.
    Killed,
    /// It was lost, in this way.
    Lost(JoinErrorKind),
}

/// A job that runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunningJob {
    /// The number of the job.
    pub job: u64,
    /// The name of its function or struct.
    pub function: &'static str,
    /// The index of its worker.
    pub worker: usize,
    /// How long it has run.
    pub since: Duration,
}

/// How long something took, many times, in buckets that are an eighth of a power of two apart.
#[derive(Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    /// In nanoseconds.
    sum: u128,
    max: u64,
}

/// How many buckets there are for each power of two, as a power of two.
const PARTS: u32 = 3;

/// How many bits of nanoseconds are told apart: up to nine years.
const BITS: u32 = 58;

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: vec![0; (BITS << PARTS) as usize],
            count: 0,
            sum: 0,
            max: 0,
        }
    }
}

/// Returns the bucket of a number of nanoseconds.
fn bucket(nanoseconds: u64) -> usize {
    let nanoseconds = nanoseconds.clamp(1 << PARTS, (1 << BITS) - 1);
    let power = nanoseconds.ilog2();
    let part = nanoseconds >> (power - PARTS) & ((1 << PARTS) - 1);
    ((power << PARTS) as usize) | usize::try_from(part).unwrap_or(0)
}

/// Returns the end of a bucket, in nanoseconds.
fn end(bucket: usize) -> u64 {
    let power = u32::try_from(bucket >> PARTS).unwrap_or(BITS);
    let part = (bucket & ((1 << PARTS) - 1)) as u64 + 1;
    (1_u64 << power) + (part << power.saturating_sub(PARTS))
}

impl Latencies {
    pub(super) fn note(&mut self, took: Duration) {
        let seconds = took.as_secs().saturating_mul(1_000_000_000);
        let nanoseconds = seconds.saturating_add(took.subsec_nanos().into());
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
        self.sum += u128::from(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// Returns how often it was measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the longest time.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// Returns the mean, or `None` if nothing was measured.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanoseconds = self.sum.checked_div(u128::from(self.count))?;
        Some(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        ))
    }

    /// Returns the time below which this share of the times is, or `None` if nothing was measured.
    /// It is exact to an eighth. 0.5 asks for the median, 0.99 for the time that one in a hundred
    /// exceeds.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share need not be exact, and is not negative"
        )]
        let wanted = (self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut below = 0;
        let place = self.buckets.iter().position(|count| {
            below += count;
            below >= wanted.max(1)
        });
        let end = Duration::from_nanos(end(place?));
        Some(end.min(self.max()))
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("median", &self.percentile(0.5))
            .field("p99", &self.percentile(0.99))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

/// What a pool counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) failed: HashMap<JoinErrorKind, u64>,
    pub(super) queue_wait: Latencies,
    pub(super) run_time: Latencies,
    pub(super) restarts: u64,
    pub(super) last_restarts: VecDeque<Restart>,
}

/// How many restarts are remembered.
const LAST: usize = 32;

impl Tally {
    /// Notes that a job was answered.
    pub(super) fn answered(&mut self, submitted: Moment, began: Moment, took: Duration) {
        self.queue_wait.note(began.saturating_sub(submitted));
        self.run_time.note(took);
    }

    /// Notes that a job has no value.
    pub(super) fn failed(&mut self, error: &JoinError) {
        *self.failed.entry(error.kind()).or_default() += 1;
    }

    /// Notes the end of a worker.
    pub(super) fn restarted(&mut self, index: usize, reason: RestartReason) {
        self.restarts += 1;
        if self.last_restarts.len() == LAST {
            self.last_restarts.pop_front();
        }
        self.last_restarts.push_back(Restart { index, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::{Latencies, bucket, end};
    use std::time::Duration;

    #[test]
    fn buckets_follow_each_other() {
        for nanoseconds in (0..200).chain([1 << 20, (1 << 20) + 1, (1 << 57) + 12345]) {
            let bucket = bucket(nanoseconds);
            assert!(end(bucket) > nanoseconds, "{nanoseconds}");
            if nanoseconds > 8 {
                assert!(end(bucket - 1) <= nanoseconds, "{nanoseconds}");
            }
        }
    }

    #[test]
    fn percentiles_are_exact_to_an_eighth() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), None);
        for microseconds in 1..=1000 {
            latencies.note(Duration::from_micros(microseconds));
        }
        for (share, expected) in [(0.5, 500), (0.99, 990), (0.001, 1)] {
            let found = latencies.percentile(share).unwrap();
            let expected = Duration::from_micros(expected);
            assert!(
                found >= expected && found <= expected + expected / 4,
                "{found:?}"
            );
        }
        assert_eq!(latencies.percentile(1.0), Some(Duration::from_millis(1)));
        assert_eq!(latencies.mean(), Some(Duration::from_nanos(500_500)));
        assert_eq!(latencies.count(), 1000);
    }
}
