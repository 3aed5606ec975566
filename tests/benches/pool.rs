//! What a pool of processes costs, beside threads that do the same.
//!
//! The table goes to the standard output and to a file.

#![allow(missing_docs, reason = "a program")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "a process owns what it is given"
)]

#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/table.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod table;

use procession::{Pool, process};
use std::{
    env, error, fs, hint, io,
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime},
};
use table::{Row, Table};

const WORKERS: usize = 2;

/// Tiny tasks in a row, and how often.
const TINY: u32 = 100_000;
const TIMES: usize = 11;

/// Tasks one at a time, and how often.
const SINGLE: u32 = 2000;
const SINGLE_TIMES: usize = 31;

/// Tasks that keep a CPU busy, and for how long each.
const BUSY: u32 = 200;
const BUSY_TIME: Duration = Duration::from_millis(1);
const BUSY_TIMES: usize = 5;

/// The bytes of a large argument or result, and how often it is sent.
const LARGE: usize = 1 << 20;
const LARGE_TIMES: usize = 101;

/// How long an idle pool is watched.
const IDLE: Duration = Duration::from_secs(2);

/// How many jobs the memory is measured after.
const FEW: u32 = 1000;
const MANY: u32 = 1_000_000;

#[process]
fn square(n: u64) -> u64 {
    n.wrapping_mul(n)
}

/// Keeps a CPU busy, and returns for how many nanoseconds it has.
#[process]
fn busy() -> u64 {
    let begun = Instant::now();
    while begun.elapsed() < BUSY_TIME {
        hint::spin_loop();
    }
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Tells when the argument is there.
#[process]
fn take(value: Vec<u8>) -> SystemTime {
    let now = SystemTime::now();
    hint::black_box(&value);
    now
}

/// Makes a value, and writes into it when it was made.
#[process]
fn give(length: usize) -> Vec<u8> {
    let mut value = vec![7; length];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_nanos();
    value[..size_of_val(&now)].copy_from_slice(&now.to_le_bytes());
    value
}

/// The pools of `CPython` do the same.
const PYTHON: &str = r#"
import concurrent.futures, multiprocessing, sys, time

TINY, SINGLE, LARGE = 20000, 2000, bytes(1 << 20)

def square(n):
    return n * n

def take(value):
    return time.time()

def per(count, act):
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) / count * 1e6

def sent(call):
    taken = []
    for _ in range(51):
        begun = time.time()
        taken.append(call(begun) - begun)
    return sorted(taken)[25] * 1e6

def futures(name, pool):
    list(pool.map(square, range(100)))
    print(f"{name}, tiny tasks, map\t{per(TINY, lambda: sum(pool.map(square, range(TINY))))}")
    chunks = lambda: sum(pool.map(square, range(TINY), chunksize=TINY // 8))
    print(f"{name}, tiny tasks, map in 8 chunks\t{per(TINY, chunks)}")
    one = lambda: [pool.submit(square, n).result() for n in range(SINGLE)]
    print(f"{name}, one task at a time\t{per(SINGLE, one)}")
    print(f"{name}, 1 MiB as argument\t{sent(lambda _: pool.submit(take, LARGE).result())}")

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    version = sys.version.split()[0]
    name = f"CPython {version} multiprocessing.Pool"
    with context.Pool(2) as pool:
        pool.map(square, range(100))
        print(f"{name}, tiny tasks, imap\t{per(TINY, lambda: sum(pool.imap(square, range(TINY))))}")
        print(f"{name}, tiny tasks, map, in chunks\t{per(TINY, lambda: sum(pool.map(square, range(TINY))))}")
        one = lambda: [pool.apply(square, (n,)) for n in range(SINGLE)]
        print(f"{name}, one task at a time\t{per(SINGLE, one)}")
        print(f"{name}, 1 MiB as argument\t{sent(lambda _: pool.apply(take, (LARGE,)))}")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        futures(f"CPython {version} ProcessPoolExecutor", pool)
    try:
        import loky
    except ImportError:
        print("loky is not measured: it is not installed.")
    else:
        # Its map sends one chunk for each task unless it is told otherwise, as the executor above.
        with loky.ProcessPoolExecutor(2) as pool:
            futures(f"loky {loky.__version__}", pool)
"#;

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut table = Table::new();
    let pool = Pool::builder().workers(WORKERS).build()?;
    // The first tasks wait until the workers have started.
    squares(&pool, FEW);

    table.add(tiny(&pool));
    table.add(single(&pool)?);
    table.add(milliseconds(&pool));
    table.note(memory(&pool)?);
    let value = vec![7_u8; LARGE];
    let (mut cloned, mut there, mut back) = (Vec::new(), Vec::new(), Vec::new());
    // What is freed would be used again, and its pages would not be fresh.
    let mut kept = Vec::new();
    for _ in 0..LARGE_TIMES {
        cloned.push(time(|| kept.push(hint::black_box(&value).clone())));
        there.push(argument(&pool, value.clone())?);
        back.push(result(&pool)?);
    }
    let cloned = table::median(&mut cloned);
    table.add(large("1 MiB, Vec<u8> as argument, one way", there, cloned));
    table.add(large("1 MiB, Vec<u8> as result, one way", back, cloned));

    table.note(idle(&pool)?);
    drop(pool);
    peers::python(&mut table, "pool", PYTHON);
    let asked = env::args().any(|argument| argument == "--peers");
    let programs = ["pool_rayon", "pool_procspawn", "pool_tarnish"];
    peers::other_crates(&mut table, &programs, asked);
    table.finish("pool")?;
    Ok(())
}

/// Returns the sum of the squares below a number.
fn squares(pool: &Pool, count: u32) -> u64 {
    let squares = pool.map((0..u64::from(count)).map(square::new));
    squares
        .map(|n| n.expect("the task returns"))
        .fold(0, u64::wrapping_add)
}

/// Many tiny tasks, and how threads do them that get them over channels.
fn tiny(pool: &Pool) -> Row {
    let (answer, answers) = mpsc::channel();
    let threads = [(); WORKERS].map(|()| {
        let ((task, tasks), answer) = (mpsc::channel::<u64>(), answer.clone());
        thread::spawn(move || {
            tasks
                .iter()
                .try_for_each(|n| answer.send(n.wrapping_mul(n)))
        });
        task
    });
    let [ours, theirs] = table::alternate(
        TIMES,
        [
            &mut || _ = hint::black_box(squares(pool, TINY)),
            &mut || {
                for n in 0..TINY {
                    let task = &threads[n as usize % WORKERS];
                    task.send(n.into()).expect("the thread runs");
                }
                hint::black_box(answers.iter().take(TINY as usize).sum::<u64>());
            },
        ],
    );
    Row {
        work: "tiny tasks, map, each",
        took: ours / f64::from(TINY),
        yardstick: "2 threads over mpsc",
        yardstick_took: theirs / f64::from(TINY),
        goal: 1.5,
    }
}

/// One tiny task after the other.
fn single(pool: &Pool) -> Result<Row, Box<dyn error::Error>> {
    let (task, tasks) = mpsc::channel::<u64>();
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        tasks
            .iter()
            .try_for_each(|n| answer.send(n.wrapping_mul(n)))
    });
    pool.submit(square::new(0))?.join()?;
    let [ours, theirs] = table::alternate(
        SINGLE_TIMES,
        [
            &mut || {
                for n in 0..SINGLE {
                    let job = pool.submit(square::new(n.into()));
                    let value = job.map(|job| job.join().expect("the task returns"));
                    hint::black_box(value.expect("the pool is open"));
                }
            },
            &mut || {
                for n in 0..SINGLE {
                    task.send(n.into()).expect("the thread runs");
                    hint::black_box(answers.recv().expect("the thread runs"));
                }
            },
        ],
    );
    Ok(Row {
        work: "one task at a time, submit to result",
        took: ours / f64::from(SINGLE),
        yardstick: "a thread over mpsc",
        yardstick_took: theirs / f64::from(SINGLE),
        goal: 1.0,
    })
}

/// Tasks that take a millisecond each.
fn milliseconds(pool: &Pool) -> Row {
    let (mut taken, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..BUSY_TIMES {
        let mut sum = Duration::ZERO;
        taken.push(time(|| {
            for took in pool.map((0..BUSY).map(|_| busy::new())) {
                sum += Duration::from_nanos(took.expect("the task returns"));
            }
        }));
        sums.push(sum / 2);
    }
    Row {
        work: "200 tasks of 1 ms on 2 workers",
        took: table::median(&mut taken),
        yardstick: "half of the sum of their times",
        yardstick_took: table::median(&mut sums),
        goal: 1.05,
    }
}

fn large(work: &'static str, mut taken: Vec<Duration>, cloned: f64) -> Row {
    Row {
        work,
        took: table::median(&mut taken),
        yardstick: "clone into fresh pages",
        yardstick_took: cloned,
        goal: 0.6,
    }
}

/// Returns how long it takes until a worker has the argument.
fn argument(pool: &Pool, value: Vec<u8>) -> Result<Duration, Box<dyn error::Error>> {
    let begun = SystemTime::now();
    let there = pool.submit(take::new(value))?.join()?;
    // The clock may have been set meanwhile.
    Ok(there.duration_since(begun).unwrap_or_default())
}

/// Returns how long it takes from a value in a worker to the value here.
fn result(pool: &Pool) -> Result<Duration, Box<dyn error::Error>> {
    let value = pool.submit(give::new(LARGE))?.join()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let made = u128::from_le_bytes(*value.first_chunk().ok_or("the value is short")?);
    Ok(Duration::from_nanos(u64::try_from(
        now.as_nanos().saturating_sub(made),
    )?))
}

fn time(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

/// Measures the CPU time of a pool that has nothing to do.
fn idle(pool: &Pool) -> Result<String, Box<dyn error::Error>> {
    let mut processes = vec![std::process::id()];
    processes.extend(pool.stats().workers.iter().map(|worker| worker.id));
    let ticks = || -> Result<u64, Box<dyn error::Error>> {
        let each = processes.iter().map(|id| ticks(*id));
        each.sum()
    };
    // What was done before may go on for a moment: the keeper sees that nothing more comes.
    thread::sleep(Duration::from_millis(100));
    let before = ticks()?;
    thread::sleep(IDLE);
    let taken = ticks()? - before;
    Ok(format!(
        "An idle pool of {WORKERS} workers: {taken} clock ticks of CPU time in {} s, all processes together (goal 0).",
        IDLE.as_secs()
    ))
}

/// Returns the CPU time of a process until now, in clock ticks.
fn ticks(id: u32) -> Result<u64, Box<dyn error::Error>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name may have spaces in it. After it are the third field and all others.
    let (_, fields) = stat.rsplit_once(')').ok_or("the name has an end")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let times = times
        .map(str::parse::<u64>)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(times.iter().sum())
}

/// Measures how much memory jobs take.
fn memory(pool: &Pool) -> Result<String, Box<dyn error::Error>> {
    let peak = |count| -> io::Result<u64> {
        // So that the peak is measured anew.
        fs::write("/proc/self/clear_refs", "5")?;
        squares(pool, count);
        status("VmHWM:")
    };
    let (few, many) = (peak(FEW)?, peak(MANY)?);
    let before = status("VmRSS:")?;
    let jobs = (0..FEW * 100).map(|n| pool.submit(square::new(n.into())));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    let held = status("VmRSS:")?.saturating_sub(before);
    for job in jobs {
        job.join()?;
    }
    Ok(format!(
        "The peak of the resident memory of this process: {few} KiB with {FEW} tiny tasks by map, {many} KiB with {MANY} (goal: the \
         same).\nA job that is held and not joined: {} bytes.",
        (held << 10) / u64::from(FEW * 100)
    ))
}

/// Returns a number of KiB that the system tells about this process.
fn status(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
