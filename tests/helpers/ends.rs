//! Starts children and ends in the way it is told to, while they still run.
//!
//! What holds its standard output open is what still lives; a child waits for a line on the standard input.

use procession::{Builder, Child, Stdio, process, set_exit_grace};
use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

#[process]
fn wait_for_line() {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .expect("the standard input can be read");
    println!("child got {}", line.trim());
}

#[process]
fn park() {
    loop {
        thread::park();
    }
}

/// Cannot be ended but by SIGKILL.
#[process(daemon)]
fn deaf_daemon(mut ready: io::PipeWriter) {
    procession_tests::block_signals();
    ready.write_all(b"!").expect("the parent listens");
    drop(ready);
    loop {
        std::hint::spin_loop();
    }
}

#[process(daemon)]
fn daemon(mut ready: io::PipeWriter) {
    ready.write_all(b"!").expect("the parent listens");
    drop(ready);
    park();
}

#[process]
fn with_grandchild() -> u32 {
    let grandchild = Builder::new()
        .stdin(Stdio::inherit())
        .spawn(wait_for_line::new())
        .expect("it starts");
    drop(grandchild);
    7
}

/// Starts one of each, and returns when they are under way.
fn start_daemons() -> (Child<()>, Child<()>) {
    let (mut reader, writer) = io::pipe().expect("there are pipes");
    let daemons = (
        deaf_daemon::spawn(writer.try_clone().expect("there are descriptors")).expect("it starts"),
        daemon::spawn(writer).expect("it starts"),
    );
    io::Read::read_exact(&mut reader, &mut [0; 2]).expect("both are under way");
    daemons
}

fn start_child() -> Child<()> {
    Builder::new()
        .stdin(Stdio::inherit())
        .spawn(wait_for_line::new())
        .expect("it starts")
}

fn main() {
    procession_tests::use_method();
    let how = std::env::args().nth(1).unwrap_or_default();
    let said = || {
        println!("main done");
        io::stdout().flush().expect("somebody listens");
    };
    match how.as_str() {
        "return" => {
            let _children = (start_daemons(), start_child());
            said();
        }
        "exit" => {
            let _children = (start_daemons(), start_child());
            said();
            std::process::exit(5);
        }
        "panic" => {
            let _children = (start_daemons(), start_child());
            said();
            panic!("in main");
        }
        "dropped" => {
            drop((start_daemons(), start_child()));
            said();
        }
        "detached" => {
            start_child().detach();
            said();
        }
        "graced" => {
            set_exit_grace(Duration::from_millis(20));
            let _child = park::spawn().expect("it starts");
            said();
        }
        "nested" => {
            let child = Builder::new()
                .stdin(Stdio::inherit())
                .spawn(with_grandchild::new())
                .expect("it starts");
            said();
            println!("child returned {}", child.join().expect("it returns"));
        }
        "doomed" => {
            said();
            // Until somebody kills it, which is soon.
            loop {
                let one = Builder::new().daemon(true).spawn(park::new());
                let one = one.expect("it starts");
                one.kill().expect("it is ours");
                one.join().expect_err("it was killed");
            }
        }
        "abort" => {
            let _daemons = start_daemons();
            said();
            std::process::abort();
        }
        "exec" => {
            let _daemons = start_daemons();
            said();
            let error = std::os::unix::process::CommandExt::exec(
                std::process::Command::new("cat").arg("/dev/null"),
            );
            panic!("{error}");
        }
        _ => {
            let _daemons = start_daemons();
            said();
            park();
        }
    }
}
