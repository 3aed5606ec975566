//! Pools whose workers are killed and stopped at any moment: every job ends once, with its own
//! value or with a true reason.

use crate::{in_turn, rounds};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procession::{
    Fd, Job, JoinErrorKind, Pool, Ran, StartMethod, pool::PoolBuilder, process, shm::SharedSlice,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    hash::{BuildHasher, RandomState},
    os::unix::fs::MetadataExt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// How long a pool may take to end that has nothing more to do.
const SOON: Duration = Duration::from_secs(60);

/// Numbers that nobody can foresee. They are printed, in case somebody wants to know them.
struct Random(u64);

impl Random {
    fn new(what: &str) -> Self {
        let seed = RandomState::new().hash_one(what) | 1;
        eprintln!("{what}: seed {seed:#x}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit))
    }
}

/// Which jobs have begun how often: in each place the last job that has this place, by its number.
type Books = SharedSlice<AtomicU64>;

static BOOKS: OnceLock<Books> = OnceLock::new();

#[process]
fn open_books(books: Books) {
    BOOKS.set(books).expect("a worker begins once");
}

/// What goes to a job, and comes back from it.
#[derive(Debug, Serialize, Deserialize)]
struct Load {
    number: u64,
    body: Vec<u8>,
    file: Option<Fd<File>>,
}

impl Load {
    /// Of any length: some fill the ring of a lane soon, some go beside it. Some have a descriptor.
    fn new(number: u64) -> Self {
        let length = match number % 23 {
            22 => 200_000,
            7 | 8 | 15 => 10 << 10,
            short => usize::try_from(short).unwrap() * 40,
        };
        let byte = (number % 251) as u8;
        let has_file = number.is_multiple_of(7);
        Self {
            number,
            body: vec![byte; length],
            file: has_file.then(|| Fd(File::open("/dev/null").unwrap())),
        }
    }

    fn check(&self, number: u64) {
        let whole = Self::new(number);
        assert_eq!(self.number, number, "it is of another job");
        assert!(self.body == whole.body, "its bytes are of another job");
        assert_eq!(self.file.is_some(), whole.file.is_some());
        if let (Some(Fd(file)), Some(Fd(null))) = (&self.file, &whole.file) {
            let which = |file: &File| file.metadata().unwrap().rdev();
            assert_eq!(which(file), which(null));
        }
    }
}

/// Notes in the books that a job has begun.
fn begin(number: u64) {
    let books = BOOKS.get().expect("the initializer has run");
    let note = |entry| Some(((number << 16) | begun(entry, number)) + 1);
    let place = &books[place(number)];
    place.fetch_update(Relaxed, Relaxed, note).unwrap();
}

/// How often this job has begun, as the entry in its place says.
fn begun(entry: u64, number: u64) -> u64 {
    if entry >> 16 == number {
        entry & 0xffff
    } else {
        0
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap() % PLACES
}

#[process]
fn echo(load: Load, busy: Duration) -> Load {
    begin(load.number);
    load.check(load.number);
    thread::sleep(busy);
    load
}

/// Returns 10 KiB for some bytes, so that the results fill their ring first.
#[process]
fn swell(number: u64) -> Vec<u8> {
    begin(number);
    vec![(number % 251) as u8; 10 << 10]
}

/// What a test does to the workers of its pool.
#[derive(Default)]
struct Deeds {
    is_over: AtomicBool,
    kills: AtomicUsize,
    stops: AtomicUsize,
}

impl Deeds {
    /// Kills and stops random workers until it is over. Lets those go on in the end that it has
    /// stopped.
    fn torture(&self, pool: &Pool, mut random: Random, pause: u64, stops: bool) {
        let mut stopped = VecDeque::new();
        while !self.is_over.load(Relaxed) {
            thread::sleep(random.micros(pause));
            let workers = pool.stats().workers;
            if stopped.len() > 1 || random.below(4) == 0 {
                if let Some(id) = stopped.pop_front() {
                    signal(id, Signal::SIGCONT);
                }
                continue;
            }
            if workers.is_empty() {
                continue;
            }
            let count = workers.len() as u64;
            let which = usize::try_from(random.below(count)).unwrap();
            let id = workers[which].id;
            if stops && random.below(2) == 0 {
                self.stops.fetch_add(1, Relaxed);
                signal(id, Signal::SIGSTOP);
                stopped.push_back(id);
            } else {
                self.kills.fetch_add(1, Relaxed);
                signal(id, Signal::SIGKILL);
            }
        }
        for id in stopped {
            signal(id, Signal::SIGCONT);
        }
    }
}

/// Ends the deeds when it is dropped, also by a panic.
struct End<'d>(&'d Deeds);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}

fn signal(id: u32, signal: Signal) {
    // It may be gone already.
    let _ = kill(Pid::from_raw(id.cast_signed()), signal);
}

/// Checks how a job has ended: with its value, or because its worker was killed, or in one of the
/// ways that it `may` end. Returns whether its worker was lost with it.
fn check_end<T>(
    result: Result<T, procession::JoinError>,
    begun: u64,
    may: &[JoinErrorKind],
    check: impl FnOnce(T),
) -> bool {
    let error = match result {
        Ok(value) => {
            check(value);
            assert_eq!(begun, 1, "it has a value, so it has begun once");
            return false;
        }
        Err(error) => error,
    };
    assert!(begun <= 1, "nobody has asked for another attempt: {error}");
    let kind = error.kind();
    let is_true = match kind {
        JoinErrorKind::Signalled => error.signal() == Some(Signal::SIGKILL as i32),
        JoinErrorKind::Cancelled | JoinErrorKind::PoolClosed => {
            may.contains(&kind) && begun == 0 && error.ran() == Ran::No
        }
        _ => may.contains(&kind),
    };
    assert!(is_true, "begun {begun} times: {error:?}, {may:?}");
    assert!(begun == 0 || error.ran() != Ran::No, "it ran: {error:?}");
    kind == JoinErrorKind::Signalled
}

/// How many jobs have a place in the books before the first place is used again.
const PLACES: usize = 1 << 14;

fn new_books() -> Books {
    Books::new(PLACES).unwrap()
}

/// How often a job has begun.
fn settle(books: &Books, number: u64) -> u64 {
    begun(books[place(number)].load(Relaxed), number)
}

fn builder(books: &Books) -> PoolBuilder {
    Pool::builder()
        .start_method(StartMethod::ForkServer)
        .initializer(open_books::new(books.clone()))
}

/// Submits jobs for a while, with some cancelled, killed and given up among them, and joins them.
/// Returns how many have lost their worker.
fn work(
    pool: &Pool,
    books: &Books,
    random: &mut Random,
    numbers: impl Iterator<Item = u64>,
) -> usize {
    let mut lost = 0;
    let mut end = |(number, job, may): (u64, Job<Load>, Vec<JoinErrorKind>)| {
        let result = job.join();
        let begun = settle(books, number);
        lost += usize::from(check_end(result, begun, &may, |load| load.check(number)));
    };
    let mut jobs = VecDeque::new();
    for number in numbers {
        let busy = match random.below(40) {
            0 => random.micros(3000),
            _ => Duration::ZERO,
        };
        let order = pool.job();
        let is_timed = random.below(3) == 0;
        let order = if is_timed {
            order.timeout(Duration::from_millis(5 + random.below(50)))
        } else {
            order
        };
        let job = order.submit(echo::new(Load::new(number), busy)).unwrap();
        let mut may = Vec::new();
        if is_timed {
            may.push(JoinErrorKind::TimedOut);
        }
        match random.below(50) {
            0 if job.kill() => may.extend([JoinErrorKind::Killed, JoinErrorKind::Cancelled]),
            1..6 if job.cancel() => may.push(JoinErrorKind::Cancelled),
            6 => {
                drop(job);
                continue;
            }
            _ => {}
        }
        jobs.push_back((number, job, may));
        let most = usize::try_from(random.below(200)).unwrap();
        while jobs.len() > most {
            end(jobs.pop_front().unwrap());
        }
    }
    jobs.into_iter().for_each(end);
    lost
}

#[test]
fn jobs_of_a_pool_end_once_whatever_becomes_of_the_workers() {
    in_turn(|| {
        let books = new_books();
        let pool = builder(&books).workers(4).build().unwrap();
        let (deeds, next) = (Deeds::default(), AtomicUsize::new(0));
        let lost = thread::scope(|scope| {
            scope.spawn(|| deeds.torture(&pool, Random::new("deeds"), 8000, true));
            let work = |name| {
                let (pool, books, next) = (&pool, &books, &next);
                scope.spawn(move || {
                    let mut random = Random::new(name);
                    let mut lost = 0;
                    for _ in rounds(25) {
                        let first = next.fetch_add(100, Relaxed) as u64;
                        lost += work(pool, books, &mut random, first..first + 100);
                    }
                    lost
                })
            };
            let workers = [work("one"), work("other")];
            let lost: Vec<_> = workers
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            deeds.is_over.store(true, Relaxed);
            lost.into_iter().map(|lost| lost.unwrap()).sum::<usize>()
        });
        let kills = deeds.kills.load(Relaxed);
        let stops = deeds.stops.load(Relaxed);
        let jobs = next.load(Relaxed);
        eprintln!("{jobs} jobs, {kills} kills, {stops} stops, {lost} lost");
        assert!(lost <= kills, "{lost} jobs were lost by {kills} kills");
        assert!(pool.shutdown(SOON), "nothing is left to do");
    });
}

#[process]
fn who(number: u64) -> u32 {
    begin(number);
    std::process::id()
}

#[test]
fn workers_that_are_replaced_all_the_time_lose_no_job() {
    in_turn(|| {
        for round in rounds(1) {
            for (workers, limit) in (1..=8).flat_map(|count| (1..=3).map(move |most| (count, most)))
            {
                let books = new_books();
                let pool = builder(&books)
                    .workers(workers)
                    .max_tasks_per_worker(limit)
                    .build()
                    .unwrap();
                let deeds = Deeds::default();
                let is_tortured = (round as usize + workers).is_multiple_of(2);
                let done = thread::scope(|scope| {
                    let end = End(&deeds);
                    if is_tortured {
                        scope.spawn(|| deeds.torture(&pool, Random::new("deeds"), 8000, false));
                    }
                    let jobs = (0..64).map(|number| {
                        let job = pool.submit(who::new(number)).unwrap();
                        (number, job)
                    });
                    let jobs: Vec<_> = jobs.collect();
                    let mut done = BTreeMap::<u32, u32>::new();
                    let mut lost = 0;
                    for (number, job) in jobs {
                        let result = job.join();
                        let begun = settle(&books, number);
                        let note = |id| *done.entry(id).or_default() += 1;
                        lost += usize::from(check_end(result, begun, &[], note));
                    }
                    drop(end);
                    assert!(lost <= deeds.kills.load(Relaxed));
                    done
                });
                let most = done.values().max();
                assert!(most <= Some(&limit), "{done:?}");
                assert!(pool.shutdown(SOON), "nothing is left to do");
            }
        }
    });
}

#[test]
fn pool_can_be_ended_at_any_moment_and_more_than_once() {
    in_turn(|| {
        let mut random = Random::new("ends");
        for round in rounds(60) {
            let books = new_books();
            let pool = builder(&books)
                .workers(1 + round as usize % 3)
                .backlog(64)
                .build()
                .unwrap();
            let deeds = Deeds::default();
            let moments = [(); 4].map(|()| random.micros(20_000));
            let (swollen, echoes) = thread::scope(|scope| {
                scope.spawn(|| deeds.torture(&pool, Random::new("deeds"), 4000, round % 2 == 0));
                // Nobody takes the results before the end.
                let swollen = scope.spawn(|| {
                    let job = |number| Some((number, pool.submit(swell::new(number)).ok()?));
                    (0..1000).map_while(job).collect::<Vec<_>>()
                });
                let echoes = scope.spawn(|| {
                    let echo = |number| echo::new(Load::new(number), Duration::ZERO);
                    let job = |number| Some((number, pool.submit(echo(number)).ok()?));
                    (1000..2000).map_while(job).collect::<Vec<_>>()
                });
                scope.spawn(|| {
                    thread::sleep(moments[0]);
                    pool.shutdown(moments[1]);
                });
                scope.spawn(|| {
                    thread::sleep(moments[2]);
                    match round % 3 {
                        0 => pool.terminate(),
                        1 => drop(pool.shutdown(moments[3])),
                        _ => pool.close(),
                    }
                });
                let jobs = (swollen.join(), echoes.join());
                deeds.is_over.store(true, Relaxed);
                (jobs.0.unwrap(), jobs.1.unwrap())
            });
            // Whether a job was cut off depends on the moments.
            pool.shutdown(SOON);
            assert!(pool.stats().workers.is_empty(), "the pool was ended");
            let may = [JoinErrorKind::Killed, JoinErrorKind::PoolClosed];
            let mut lost = 0;
            for (number, job) in swollen {
                let result = job.join();
                let begun = settle(&books, number);
                lost += usize::from(check_end(result, begun, &may, |bytes| {
                    assert!(bytes == vec![(number % 251) as u8; 10 << 10]);
                }));
            }
            for (number, job) in echoes {
                let result = job.join();
                let begun = settle(&books, number);
                lost += usize::from(check_end(result, begun, &may, |load| load.check(number)));
            }
            assert!(lost <= deeds.kills.load(Relaxed));
            if round % 2 == 0 {
                drop(pool);
            } else {
                thread::spawn(move || drop(pool)).join().unwrap();
            }
        }
    });
}

#[test]
fn retried_jobs_have_their_values_whatever_becomes_of_the_workers() {
    in_turn(|| {
        let books = new_books();
        let pool = builder(&books)
            .workers(3)
            .retries(1000)
            .poison_after(1000)
            .build()
            .unwrap();
        let (deeds, next) = (Deeds::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| deeds.torture(&pool, Random::new("deeds"), 6000, true));
            let work = scope.spawn(|| {
                for _ in rounds(10) {
                    let first = next.fetch_add(100, Relaxed) as u64;
                    let loads = (first..first + 100).map(Load::new);
                    let jobs = loads.map(|load| echo::new(load, Duration::ZERO));
                    for (number, load) in (first..).zip(pool.map(jobs)) {
                        load.unwrap().check(number);
                        assert!(settle(&books, number) >= 1);
                    }
                }
            });
            let result = work.join();
            deeds.is_over.store(true, Relaxed);
            result.unwrap();
        });
        assert!(pool.shutdown(SOON), "nothing is left to do");
    });
}
