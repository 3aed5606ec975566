//! Starts children and ends in the way it is told to, while they still run.
//!
//! What holds its standard output open is what still lives; a child waits for a line on the standard input.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
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
fn wait_for_end_of_input() {
    let parent = std::os::unix::process::parent_id();
    io::Read::read_to_end(&mut io::stdin(), &mut Vec::new()).expect("the input can be read");
    if std::os::unix::process::parent_id() == parent {
        println!("with parent");
    } else {
        println!("without parent");
    }
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
        "crowd" => {
            let start = |_| {
                Builder::new()
                    .stdin(Stdio::inherit())
                    .spawn(wait_for_end_of_input::new())
                    .expect("it starts")
            };
            let _children: Vec<_> = (0..20).map(start).collect();
            said();
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it can be asked for");
            setrlimit(Resource::RLIMIT_NOFILE, 0, hard).expect("limits can be lowered");
        }
        "stopped" => {
            let (deaf, daemon) = start_daemons();
            for child in [deaf, daemon] {
                child.signal(nix::libc::SIGSTOP).expect("it is ours");
            }
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
