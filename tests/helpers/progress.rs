//! A program with progress bars. The argument says how.

use procession::{Builder, Pool, Stdio, pool::print_above_progress, process};
use std::{
    env,
    io::{self, Write},
    thread,
    time::Duration,
};

/// Returns its number, but fails for one in ten.
#[process]
fn task(n: u64) -> u64 {
    thread::sleep(Duration::from_millis(5));
    assert!(n % 10 != 7, "seven");
    n
}

/// Prints lines on both streams, in one piece and in several.
#[process]
fn talk(n: u64) {
    println!("line {n} on stdout");
    eprintln!("line {n} on stderr\nand a second one");
    let mut stdout = io::stdout();
    stdout.write_all(b"one and ").expect("it is written");
    stdout.flush().expect("it is written");
    thread::sleep(Duration::from_millis(5));
    println!("the other");
}

#[process]
fn murmur() {
    print!("no end");
    io::stdout().flush().expect("it is written");
}

#[process]
fn nested() -> usize {
    let pool = Pool::builder().workers(1).build().expect("it is made");
    pool.map((0..3).map(task::new)).progress("nested").count()
}

fn main() -> procession::Result<()> {
    let quiet = Builder::new().stderr(Stdio::null());
    let quiet = Pool::builder().workers(2).worker(quiet).build()?;
    let loud = Pool::builder().workers(1).print_above_progress()?.build()?;
    let jobs = || (0..100).map(task::new);
    match env::args().nth(1).as_deref() {
        Some("ordered") => drop(quiet.map(jobs()).progress("tasks").count()),
        Some("unordered") => drop(quiet.map_unordered(jobs()).progress("tasks").count()),
        Some("endless") => {
            let jobs = jobs().filter(|_| true);
            assert_eq!(quiet.map(jobs).progress("a\tlabel\n").count(), 100);
        }
        Some("dropped") => drop(quiet.map(jobs()).progress("tasks").nth(49)),
        Some("two") => {
            let first = quiet.map(jobs()).progress("first");
            let second = quiet.map(jobs()).progress("second");
            assert_eq!(first.zip(second).count(), 100);
            quiet.map(jobs()).progress("third").for_each(drop);
        }
        Some("nested") => assert_eq!(quiet.submit(nested::new())?.join()?, 3),
        Some("workers print") => {
            for (n, result) in loud
                .map((0..20).map(talk::new))
                .progress("talk")
                .enumerate()
            {
                result?;
                print_above_progress(|| println!("line {n} of the parent"));
            }
        }
        Some("workers print without a bar") => {
            for result in loud.map((0..20).map(talk::new)) {
                result?;
            }
            loud.submit(murmur::new())?.join()?;
        }
        other => panic!("{other:?} is unknown"),
    }
    println!("done");
    Ok(())
}
