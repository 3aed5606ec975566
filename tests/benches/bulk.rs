//! What it costs to hand over much, beside copying it in one process.
//!
//! The yardstick is a clone, which has to be given its memory, as the child has. The table goes to the standard output and to a
//! file.

#![allow(missing_docs, reason = "a program")]

#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/table.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod table;

use procession::{Process, Transfer, process};
use serde::{Deserialize, Serialize};
use std::{
    env, hint,
    io::{self, PipeReader, Read, Write},
    time::{Duration, Instant, SystemTime},
};
use table::{Row, Table};

const SIZE: usize = 64 << 20;
const TIMES: usize = 21;
const GOAL: f64 = 0.6;

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

/// Makes a value, and returns it when it is told to.
#[process]
fn give(mut go: PipeReader) -> Vec<f64> {
    let value = vec![0.5; SIZE / 8];
    go.read_exact(&mut [0]).expect("the parent tells");
    value
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
    table.add(argument("Vec<u8>", &vec![7_u8; SIZE]));
    table.add(argument("Vec<f64>", &vec![0.5_f64; SIZE / 8]));
    table.add(argument("String", &"x".repeat(SIZE)));
    let picture = Picture {
        name: "noise".to_owned(),
        pixels: Some(vec![0.5; SIZE / 4]),
    };
    table.add(argument("struct with Option<Vec<f32>>", &picture));

    let numbers = vec![0.5_f64; SIZE / 8];
    table.add(row("&[f64] as argument", &numbers, || {
        arrival(borrow::new(&numbers))
    }));
    table.add(row("Vec<f64> as result", &numbers, || {
        let (go, mut tell) = io::pipe().expect("there are descriptors");
        let child = give::spawn(go).expect("it starts");
        let begun = Instant::now();
        tell.write_all(&[1]).expect("the child reads");
        let value = child.join().expect("it returns");
        let took = begun.elapsed();
        assert_eq!(value.len(), SIZE / 8);
        took
    }));
    peers::python(&mut table, "bulk", PYTHON);
    let asked = env::args().any(|argument| argument == "--peers");
    let programs = ["bulk_crossmist", "bulk_ipc_channel"];
    peers::other_crates(&mut table, &programs, asked);
    table.finish("bulk")
}

/// A value that is given away, as the argument of a process that is started for it.
fn argument<T: Transfer + Clone>(what: &str, value: &T) -> Row {
    row(&format!("{what} as argument"), value, || {
        arrival(take::new(value.clone()))
    })
}

/// How long it takes from the call until the function has its argument, the start included.
fn arrival(process: impl Process<Output = SystemTime>) -> Duration {
    let begun = SystemTime::now();
    let child = process.spawn().expect("it starts");
    let there = child.join().expect("it returns");
    there.duration_since(begun).unwrap_or_default()
}

/// Hands over and clones by turns.
fn row<T: Clone>(what: &str, value: &T, mut hand_over: impl FnMut() -> Duration) -> Row {
    let (mut ours, mut clones) = (Vec::new(), Vec::new());
    hand_over();
    for _ in 0..TIMES {
        ours.push(hand_over());
        let begun = Instant::now();
        let copy = hint::black_box(value.clone());
        clones.push(begun.elapsed());
        drop(copy);
    }
    Row {
        work: String::leak(format!("64 MiB, {what}")),
        took: table::median(&mut ours),
        yardstick: "clone",
        yardstick_took: table::median(&mut clones),
        goal: GOAL,
    }
}
