//! What it costs to hand over much, beside copying it in one process.
//!
//! The yardstick is a clone, which has to be given its memory, as the child has. The table goes to the standard output and to a
//! file.

#![allow(missing_docs, reason = "a program")]

#[path = "shared/table.rs"]
mod table;

use procession::{Transfer, process};
use serde::{Deserialize, Serialize};
use std::{
    hint,
    io::{self, PipeReader, Read, Write},
    time::{Duration, Instant},
};
use table::{Row, Table};

const SIZE: usize = 64 << 20;
const TIMES: usize = 21;
const GOAL: f64 = 0.6;

/// Has come to be when the argument is there.
#[process]
fn take<T: Transfer>(value: T) {
    hint::black_box(&value);
}

#[process]
fn borrow(value: &[f64]) {
    hint::black_box(value);
}

/// Something large inside of something else.
#[derive(Clone, Serialize, Deserialize)]
struct Picture {
    name: String,
    pixels: Option<Vec<f32>>,
}

/// Says when its value is made, and returns it when it is told to.
#[process]
fn give(mut go: PipeReader) -> Vec<f64> {
    let value = vec![0.5; SIZE / 8];
    go.read_exact(&mut [0]).expect("the parent tells");
    value
}

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
        let begun = Instant::now();
        let child = borrow::spawn(&numbers).expect("it starts");
        let took = begun.elapsed();
        child.join().expect("it returns");
        took
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
    table.finish("bulk")
}

/// A value that is given away, as the argument of a process that is started for it.
fn argument<T: Transfer + Clone>(what: &str, value: &T) -> Row {
    row(&format!("{what} as argument"), value, || {
        let process = take::new(value.clone());
        let begun = Instant::now();
        let child = procession::Process::spawn(process).expect("it starts");
        let took = begun.elapsed();
        child.join().expect("it returns");
        took
    })
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
