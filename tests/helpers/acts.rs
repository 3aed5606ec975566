//! What the programs with a plain and with an annotated `main` do alike: one act, named by the first argument.

use procession::{Builder, process};
use std::{
    env,
    io::{self, Write},
    thread,
};

#[process]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[process]
fn nest(depth: u32) -> u32 {
    procession_tests::use_method();
    if depth == 0 {
        0
    } else {
        1 + nest::spawn(depth - 1)
            .expect("it starts")
            .join()
            .expect("it returns")
    }
}

#[process]
fn fail() {
    panic!("in the child");
}

/// The variable with which a child is not set up.
const SPOILED: &str = "PROCESSION_TESTS_SPOILED";

#[procession::init]
fn set_up() {
    assert!(env::var_os(SPOILED).is_none(), "spoiled");
}

#[process]
fn look_around() -> (String, usize, bool) {
    // A broken pipe must be an error and not the end.
    let (reader, mut writer) = io::pipe().expect("there are pipes");
    drop(reader);
    let survived = writer.write_all(b"x").is_err();
    (
        thread::current().name().unwrap_or("unnamed").to_owned(),
        env::args().count(),
        survived,
    )
}

#[process]
fn dig(depth: u64) -> u64 {
    let mut frame = [depth; 256];
    std::hint::black_box(&mut frame);
    if depth == u64::MAX {
        0
    } else {
        dig(depth + 1) + frame[7]
    }
}

/// Only ever run in a child: the test of coverage looks for it.
#[process]
fn only_in_the_child() -> u32 {
    std::hint::black_box(41) + 1
}

pub(crate) fn main() {
    procession_tests::use_method();
    println!("main");
    match env::args().nth(1).unwrap_or_default().as_str() {
        "value" => println!("{:?}", add::spawn(1, 2).expect("it starts").join()),
        "nest" => println!("{:?}", nest::spawn(3).expect("it starts").join()),
        "panic" => {
            let error = fail::spawn()
                .expect("it starts")
                .join()
                .expect_err("it panics");
            let panic = error.panic().expect("it panicked");
            println!(
                "{:?} {} {:?} {:?}",
                error.kind(),
                panic.message(),
                panic.line().is_some(),
                error.signal()
            );
        }
        "set up" => {
            let spoiled = Builder::new().env(SPOILED, "1").spawn(add::new(1, 2));
            let error = spoiled.expect_err("it does not start");
            let text = error.to_string();
            println!("{:?} {}", error.kind(), text.ends_with(": spoiled"));
        }
        "look" => println!(
            "{:?}",
            look_around::spawn()
                .expect("it starts")
                .join()
                .expect("it returns")
        ),
        "dig" => {
            let error = dig::spawn(0)
                .expect("it starts")
                .join()
                .expect_err("it overflows");
            println!("{:?} {:?}", error.kind(), error.signal());
        }
        "child" => println!(
            "{:?}",
            only_in_the_child::spawn().expect("it starts").join()
        ),
        "wait" => {
            io::stdin()
                .read_line(&mut String::new())
                .expect("the standard input can be read");
            println!(
                "{:?}",
                Builder::new()
                    .spawn(add::new(1, 2))
                    .expect("it starts")
                    .join()
            );
        }
        "environment" => println!("{:?}", env::var_os("PROCESSION_CHILD")),
        other => println!("nothing to do: {other}"),
    }
}
