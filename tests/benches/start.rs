//! What starting a process costs, beside what the system itself takes for it.
//!
//! Each figure is the median of many runs, and work and yardstick take turns in one process, so that both see the same machine. The
//! verdict is on the ratio; the times are those of this machine. The table goes to the standard output and to a file.

#![allow(missing_docs, reason = "a program")]
#![allow(unsafe_code, reason = "a yardstick is the bare call")]

#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/table.rs"]
mod table;

use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork},
};
use procession::{Builder, Child, StartMethod, prewarm, process};
use std::{
    env, hint, io,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};
use table::{Row, Table, Work, alternate};

const GIB: usize = 1 << 30;
const PAGE: usize = 4096;

#[process]
fn length(text: &str) -> usize {
    text.len()
}

const TEXT: &str = "hello, small string";

fn start(method: StartMethod) -> Child<usize> {
    let builder = Builder::new().start_method(method);
    builder.spawn(length::new(TEXT)).expect("it starts")
}

fn join(child: Child<usize>) {
    assert_eq!(child.join().expect("it returns"), TEXT.len());
}

fn by_forkserver() {
    join(start(StartMethod::ForkServer));
}

/// Says whether a child sets something up before its function.
const SETUP: &str = "PROCESSION_BENCH_SETUP";

static GREETING: OnceLock<String> = OnceLock::new();

#[procession::init]
fn set_up() {
    if env::var(SETUP).as_deref() == Ok("1") {
        GREETING.get_or_init(|| format!("hello from {}", procession::current().name()));
    }
}

fn by_setup(setup: &str) {
    let builder = Builder::new().env(SETUP, setup);
    join(builder.spawn(length::new(TEXT)).expect("it starts"));
}

#[process]
fn say_no(text: &str) -> usize {
    panic!("{text}")
}

fn by_panic() {
    let builder = Builder::new()
        .stderr(procession::Stdio::null())
        .env_remove("RUST_BACKTRACE")
        .env_remove("RUST_LIB_BACKTRACE");
    let child = builder.spawn(say_no::new(TEXT)).expect("it starts");
    let error = child.join().expect_err("it panics");
    assert_eq!(error.panic().map(procession::Panic::message), Some(TEXT));
}

fn raw_fork() -> Pid {
    // SAFETY: the child does nothing but end.
    match unsafe { fork() }.expect("it forks") {
        // SAFETY: the call takes an integer and does not return.
        ForkResult::Child => unsafe { nix::libc::_exit(0) },
        ForkResult::Parent { child } => child,
    }
}

fn reap(child: Pid) {
    waitpid(child, None).expect("it ends");
}

fn main() -> io::Result<()> {
    // The yardstick of the spawn method: this very program, which does nothing.
    if env::args().nth(1).as_deref() == Some("nothing") {
        return Ok(());
    }
    let peers = env::args().any(|argument| argument == "--peers");
    let mut table = Table::new();
    prewarm(0).expect("nothing is asked for");

    // As a program that starts one process after the other has it by default.
    prewarm(1).expect("it can be asked for");
    let [by_default, forked] = alternate(
        300,
        [
            &mut by_forkserver as &mut Work<'_>,
            &mut || reap(raw_fork()),
        ],
    );
    table.add(Row {
        work: "spawn + join with argument and result, as by default",
        took: by_default,
        yardstick: "fork + _exit + waitpid",
        yardstick_took: forked,
        goal: 1.8,
    });

    let [set_up, not_set_up] = alternate(
        300,
        [&mut (|| by_setup("1")) as &mut Work<'_>, &mut || {
            by_setup("0");
        }],
    );
    table.add(Row {
        work: "the same with a function under `init` that sets a static",
        took: set_up,
        yardstick: "itself with one that does nothing",
        yardstick_took: not_set_up,
        goal: 1.1,
    });

    // Neither prints its message.
    let [panicked, returned] = alternate(100, [&mut by_panic as &mut Work<'_>, &mut by_forkserver]);
    table.add(Row {
        work: "the same with a panic, no backtrace asked for",
        took: panicked,
        yardstick: "itself with a return",
        yardstick_took: returned,
        goal: 1.5,
    });
    prewarm(0).expect("nothing is asked for");

    let [forkserver] = alternate(300, [&mut by_forkserver]);
    table.add_other(
        "procession forkserver without a spare".to_owned(),
        forkserver,
    );

    let [spawned, executed] = alternate(
        100,
        [&mut || join(start(StartMethod::Spawn)), &mut || {
            let program = env::current_exe().expect("it has a name");
            let mut command = Command::new(program);
            let ended = command.arg("nothing").stdin(Stdio::null()).status();
            assert!(ended.expect("it runs").success());
        }],
    );
    table.add(Row {
        work: "spawn + join with argument and result, spawn",
        took: spawned,
        yardstick: "posix_spawn of the same binary + waitpid",
        yardstick_took: executed,
        goal: 1.1,
    });

    // By default again.
    prewarm(1).expect("it can be asked for");
    let [thousand, forks] = alternate(
        5,
        [
            &mut || {
                let children: Vec<_> = (0..1000).map(|_| start(StartMethod::ForkServer)).collect();
                children.into_iter().for_each(join);
            },
            &mut || {
                let children: Vec<_> = (0..1000).map(|_| raw_fork()).collect();
                children.into_iter().for_each(reap);
            },
        ],
    );
    table.add(Row {
        work: "start 1000, then join all, each",
        took: thousand / 1000.0,
        yardstick: "fork 1000, then waitpid all, each",
        yardstick_took: forks / 1000.0,
        goal: 1.5,
    });

    let spare = ready_spare();
    table.add(spare);

    size_of_the_parent(&mut table);
    peers::measure(&mut table, peers);
    table.finish("start")
}

/// The same start from a parent that has more to it.
fn size_of_the_parent(table: &mut Table) {
    let [small] = alternate(300, [&mut by_forkserver]);
    let threads: Vec<_> = (0..64).map(|_| thread::spawn(thread::park)).collect();
    let [with_threads] = alternate(300, [&mut by_forkserver]);
    for thread in &threads {
        thread.thread().unpark();
    }
    for thread in threads {
        thread.join().expect("it only waits");
    }
    table.add(Row {
        work: "the same with 64 idle threads",
        took: with_threads,
        yardstick: "itself with one thread",
        yardstick_took: small,
        goal: 1.1,
    });

    let mut memory = vec![0_u8; GIB];
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    hint::black_box(&memory);
    let [large] = alternate(300, [&mut by_forkserver]);
    drop(memory);
    table.add(Row {
        work: "the same with 1 GiB touched",
        took: large,
        yardstick: "itself with 2 MiB",
        yardstick_took: small,
        goal: 1.1,
    });
}

/// A spawn when a spare is ready, until its value is here, and a thread's: what is measured ends before another spare is made. Before
/// either this program is busy for a while, in which the spare comes to wait for its work.
fn ready_spare() -> Row {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        prewarm(1).expect("it can be asked for");
        be_busy();
        let begun = Instant::now();
        let mut child = start(StartMethod::ForkServer);
        let value = child.value().expect("it returns");
        ours.push(begun.elapsed());
        assert_eq!(value, TEXT.len());
        child.wait().expect("it ends");
        drop(child);
        be_busy();
        let begun = Instant::now();
        let value = thread::spawn(|| TEXT.len()).join().expect("it returns");
        theirs.push(begun.elapsed());
        assert_eq!(value, TEXT.len());
    }
    Row {
        work: "spawn + value, spare ready",
        took: table::median(&mut ours),
        yardstick: "thread spawn + join",
        yardstick_took: table::median(&mut theirs),
        goal: 1.0,
    }
}

fn be_busy() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1) {
        hint::spin_loop();
    }
}
