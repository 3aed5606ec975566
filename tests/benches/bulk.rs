//! What it costs to hand over much, beside copying it in one process.
//!
//! The yardstick is a clone, which has to be given its memory, as the child has; for a result it is
//! making it and a clone. The table goes to the standard output and to a file.

#![allow(missing_docs, reason = "a program")]

#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/table.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod table;

use procession::{Child, Process, Transfer, process};
use serde::{Deserialize, Serialize};
use std::{
    env, hint,
    io::{self, PipeReader, Read, Write},
    time::{Duration, Instant, SystemTime},
};
use table::{Row, Table};

const SIZE: usize = 64 << 20;
const TIMES: usize = 21;
/// For what is nothing but numbers or text, and for what is inside of something else or returned.
const GOAL: f64 = 0.6;
const GOAL_WITHIN: f64 = 0.7;

/// Tells when the argument is there.
#[process]
#[allow(clippy::needless_pass_by_value, reason = "it is to be given away")]
fn take<T: Transfer>(value: T) -> SystemTime {
    let now = SystemTime::now();
    hint::black_box(&value);
    now
}

#[process]
fn borrow(value: &[f64]) -> SystemTime {
    let now = SystemTime::now();
    hint::black_box(value);
    now
}

/// Something large inside of something else.
#[derive(Clone, Serialize, Deserialize)]
struct Picture {
    name: String,
    pixels: Option<Vec<f32>>,
}

/// Makes a value, when it is told to, and returns it.
#[process]
fn give(mut go: PipeReader) -> Vec<f64> {
    go.read_exact(&mut [0]).expect("the parent tells");
    vec![0.5; SIZE / 8]
}

/// Does the same with something around it.
#[process]
fn paint(mut go: PipeReader) -> Picture {
    go.read_exact(&mut [0]).expect("the parent tells");
    picture()
}

fn picture() -> Picture {
    Picture {
        name: "noise".to_owned(),
        pixels: Some(vec![0.5; SIZE / 4]),
    }
}

/// Hands bytes to a process that is started for them, and has them returned over a pipe.
const PYTHON: &str = r#"
import multiprocessing, sys, time

SIZE = 64 << 20

def take(value, pipe):
    pipe.send(time.time())

def give(pipe):
    value = bytes(SIZE)
    pipe.recv()
    pipe.send(value)

def measure(context, target, *arguments):
    taken = []
    for _ in range(5):
        ours, theirs = context.Pipe()
        begun = time.time()
        child = context.Process(target=target, args=(*arguments, theirs))
        child.start()
        if target is give:
            time.sleep(0.2)
            begun = time.time()
            ours.send(None)
            ours.recv()
            taken.append(time.time() - begun)
        else:
            taken.append(ours.recv() - begun)
        child.join()
    taken.sort()
    return taken[len(taken) // 2] * 1e6

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    version = sys.version.split()[0]
    print(f"CPython {version}, 64 MiB, bytes as argument, forkserver\t{measure(context, take, bytes(SIZE))}")
    print(f"CPython {version}, 64 MiB, bytes as result, over a Pipe\t{measure(context, give)}")
"#;

fn main() -> io::Result<()> {
    let mut table = Table::new();
    table.add(argument("Vec<u8>", &vec![7_u8; SIZE], GOAL));
    table.add(argument("Vec<f64>", &vec![0.5_f64; SIZE / 8], GOAL));
    table.add(argument("String", &"x".repeat(SIZE), GOAL));
    let within = "struct with Option<Vec<f32>>";
    table.add(argument(within, &picture(), GOAL_WITHIN));

    let numbers = vec![0.5_f64; SIZE / 8];
    table.add(row(
        "&[f64] as argument",
        ("clone", GOAL),
        || arrival(borrow::new(&numbers)),
        || cloning(&numbers),
    ));
    table.add(result("Vec<f64> as result", give::spawn, || {
        vec![0.5_f64; SIZE / 8]
    }));
    table.add(result("that struct as result", paint::spawn, picture));
    peers::python(&mut table, "bulk", PYTHON);
    let asked = env::args().any(|argument| argument == "--peers");
    let programs = ["bulk_crossmist", "bulk_ipc_channel"];
    peers::other_crates(&mut table, &programs, asked);
    table.finish("bulk")
}

/// A value that is given away, as the argument of a process that is started for it.
fn argument<T: Transfer + Clone>(what: &str, value: &T, goal: f64) -> Row {
    row(
        &format!("{what} as argument"),
        ("clone", goal),
        || arrival(take::new(value.clone())),
        || cloning(value),
    )
}

/// How long it takes from the call until the function has its argument, the start included.
fn arrival(process: impl Process<Output = SystemTime>) -> Duration {
    let begun = SystemTime::now();
    let child = process.spawn().expect("it starts");
    let there = child.join().expect("it returns");
    there.duration_since(begun).unwrap_or_default()
}

fn cloning<T: Clone>(value: &T) -> Duration {
    let begun = Instant::now();
    let copy = hint::black_box(value.clone());
    let took = begun.elapsed();
    drop(copy);
    took
}

/// A value that a process makes and returns.
fn result<T: Transfer + Clone>(
    what: &str,
    spawn: impl Fn(PipeReader) -> procession::Result<Child<T>>,
    make: impl Fn() -> T,
) -> Row {
    let hand_over = || {
        let (go, mut tell) = io::pipe().expect("there are descriptors");
        let child = spawn(go).expect("it starts");
        let begun = Instant::now();
        tell.write_all(&[1]).expect("the child reads");
        let value = hint::black_box(child.join().expect("it returns"));
        let took = begun.elapsed();
        drop(value);
        took
    };
    let make_and_clone = || {
        let begun = Instant::now();
        let value = hint::black_box(make());
        let copy = hint::black_box(value.clone());
        let took = begun.elapsed();
        drop((value, copy));
        took
    };
    row(
        what,
        ("make + clone", GOAL_WITHIN),
        hand_over,
        make_and_clone,
    )
}

/// Hands over and does the other thing by turns.
fn row(
    what: &str,
    (yardstick, goal): (&'static str, f64),
    mut hand_over: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> Row {
    hand_over();
    let (mut ours, mut others): (Vec<_>, Vec<_>) =
        (0..TIMES).map(|_| (hand_over(), other())).unzip();
    Row {
        work: String::leak(format!("64 MiB, {what}")),
        took: table::median(&mut ours),
        yardstick,
        yardstick_took: table::median(&mut others),
        goal,
    }
}
