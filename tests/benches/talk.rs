//! What it costs to talk to another process, beside doing it over a raw socketpair.
//!
//! The other process does nothing but to reply. The table goes to the standard output and to a file.

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

use procession::{
    channel::{Connection, pipe},
    process,
};
use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};
use table::{Row, Table};

const GOAL: f64 = 1.2;

/// What goes there and back.
type Message = [u64; 8];
const SIZE: usize = size_of::<Message>();

/// Round trips in a row, and how often.
const TRIPS: u32 = 2000;
const TIMES: usize = 31;

/// Round trips one by one, each after the other side has gone to sleep.
const RESTED_TRIPS: usize = 1000;
const REST: Duration = Duration::from_micros(500);

#[process(daemon)]
fn echo(connection: Connection<Message, Message>) {
    while let Ok(message) = connection.recv() {
        connection.send(message).expect("somebody waits for it");
    }
}

#[process(daemon)]
fn echo_bytes(connection: Connection<(), ()>) {
    let mut bytes = [0; SIZE];
    while connection.recv_bytes_into(&mut bytes).is_ok() {
        connection
            .send_bytes(&bytes)
            .expect("somebody waits for it");
    }
}

#[process(daemon)]
fn echo_raw(mut socket: UnixStream) {
    let mut bytes = [0; SIZE];
    while socket.read_exact(&mut bytes).is_ok() {
        socket.write_all(&bytes).expect("somebody waits for it");
    }
}

const PYTHON: &str = r#"
import multiprocessing, sys, time

TRIPS = 20000
MESSAGE = bytes(64)

def echo(pipe):
    while message := pipe.recv_bytes():
        pipe.send_bytes(message)

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    context.Process(target=echo, args=(theirs,), daemon=True).start()
    for trips in (100, TRIPS):
        begun = time.perf_counter()
        for _ in range(trips):
            ours.send_bytes(MESSAGE)
            ours.recv_bytes()
        taken = time.perf_counter() - begun
    print(f"CPython {sys.version.split()[0]}, 64 bytes there and back over a Pipe\t{taken / TRIPS * 1e6}")
"#;

fn main() -> io::Result<()> {
    let (values, theirs) = pipe::<Message, Message>()?;
    let _values = echo::spawn(theirs)?;
    let (bytes, theirs) = pipe::<(), ()>()?;
    let _bytes = echo_bytes::spawn(theirs)?;
    let (raw, theirs) = UnixStream::pair()?;
    let _raw = echo_raw::spawn(theirs)?;

    let message = [7; 8];
    let mut by_value = || {
        values.send(message).expect("it is received");
        assert_eq!(values.recv().expect("it replies"), message);
    };
    let mut buffer = [7; SIZE];
    let mut by_bytes = || {
        bytes.send_bytes(&[7; SIZE]).expect("it is received");
        let length = bytes.recv_bytes_into(&mut buffer);
        assert_eq!(length.expect("it replies"), SIZE);
    };
    let mut raw_buffer = [7; SIZE];
    let mut by_hand = || {
        (&raw).write_all(&[7; SIZE]).expect("it is received");
        (&raw).read_exact(&mut raw_buffer).expect("it replies");
    };

    let mut table = Table::new();
    let trips = f64::from(TRIPS);
    let [value, bytes, hand] = table::alternate(
        TIMES,
        [
            &mut || (0..TRIPS).for_each(|_| by_value()),
            &mut || (0..TRIPS).for_each(|_| by_bytes()),
            &mut || (0..TRIPS).for_each(|_| by_hand()),
        ],
    );
    table.add(row(
        "pipe, 64 bytes there and back, as a value",
        value / trips,
        hand / trips,
    ));
    table.add(row(
        "pipe, 64 bytes there and back, as bytes",
        bytes / trips,
        hand / trips,
    ));
    let [value, bytes, hand] = [
        &mut by_value as &mut dyn FnMut(),
        &mut by_bytes,
        &mut by_hand,
    ]
    .map(after_rests);
    table.add(row("the same after a rest, as a value", value, hand));
    table.add(row("the same after a rest, as bytes", bytes, hand));

    peers::python(&mut table, "talk", PYTHON);
    let asked = env::args().any(|argument| argument == "--peers");
    peers::other_crates(&mut table, &["talk_ipc_channel"], asked);
    table.note(
        "crossmist is not measured: version 1.1.2 panics when it is built by a compiler of today.",
    );
    table.finish("talk")
}

fn row(work: &'static str, took: f64, yardstick_took: f64) -> Row {
    Row {
        work,
        took,
        yardstick: "raw socketpair",
        yardstick_took,
        goal: GOAL,
    }
}

/// The median of round trips before each of which both sides had nothing to do for a while.
fn after_rests(trip: &mut dyn FnMut()) -> f64 {
    let mut taken: Vec<_> = (0..RESTED_TRIPS)
        .map(|_| {
            thread::sleep(REST);
            let begun = Instant::now();
            trip();
            begun.elapsed()
        })
        .collect();
    table::median(&mut taken)
}
