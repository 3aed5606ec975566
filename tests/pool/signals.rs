//! Programs with a pool at work that are told to end: nothing is left of them, and no worker says
//! anything.

use crate::METHODS;
use nix::{
    fcntl::OFlag,
    libc,
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::signal::{SigHandler, Signal, kill, killpg},
    unistd::{Pid, setsid},
};
use procession::StartMethod;
use procession_tests::{DEADLINE, alone, eventually, state, with_method, within};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, PipeReader, Read, Write},
    os::unix::{
        fs::OpenOptionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus},
};

/// A program with a terminal of its own. Its output goes elsewhere, so that it can be read when the
/// terminal is closed.
struct Program {
    process: Child,
    terminal: PtyMaster,
    output: BufReader<PipeReader>,
    /// Its workers.
    ids: Vec<u32>,
}

impl Program {
    /// Starts it, and waits until its workers are busy.
    fn start(how: &str, method: StartMethod) -> Self {
        let (terminal, slave) = open_terminal();
        let (reader, writer) = io::pipe().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_busy"));
        command
            .arg(how)
            .stdin(slave)
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let process = in_its_own_session(with_method(&mut command, method))
            .spawn()
            .unwrap();
        // It has the other ends.
        drop(command);
        let mut output = BufReader::new(reader);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let ids = line.strip_prefix("ready ").unwrap_or_else(|| {
            panic!("it says {line}");
        });
        let ids: Vec<_> = ids
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        assert_eq!(ids.len(), 2);
        Self {
            process,
            terminal,
            output,
            ids,
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    fn types(&self, key: u8) {
        (&self.terminal).write_all(&[key]).unwrap();
    }

    /// Waits until it has ended and nothing is left of it. Returns what was said meanwhile.
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        let mut said = String::new();
        // This ends when all are gone that could say something.
        self.output.read_to_string(&mut said).unwrap();
        for id in self.ids {
            eventually("it is gone", || matches!(state(id), None | Some('Z')));
        }
        (status, said)
    }
}

/// Makes a terminal. No program that is started gets its end by accident.
fn open_terminal() -> (PtyMaster, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits());
    let slave = options.open(ptsname_r(&master).unwrap()).unwrap();
    (master, slave)
}

/// Has a command lead a session, whose terminal is its standard input, and heed the signals that end
/// it. A shell lets what it runs in the background ignore SIGINT, and `nohup` SIGHUP.
#[allow(unsafe_code, reason = "nothing else gives a process a terminal")]
fn in_its_own_session(command: &mut Command) -> &mut Command {
    let begin = || {
        setsid()?;
        // SAFETY: the call takes integers.
        nix::errno::Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })?;
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: the default action is no handler that could do anything wrong.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(begin) }
}

/// Runs a test with a program that is busy in each way, under each start method.
fn with_programs(test: impl Fn(Program) -> (ExitStatus, String), expected: Signal) {
    // Alone: what other tests start could hold the terminal or the output.
    alone(|| with_each(&test, expected));
}

fn with_each(test: &impl Fn(Program) -> (ExitStatus, String), expected: Signal) {
    for method in METHODS {
        for how in ["hang", "stream"] {
            within(DEADLINE, || {
                let (status, said) = test(Program::start(how, method));
                assert_eq!(status.signal(), Some(expected as i32), "{how}: {status}");
                assert_eq!(said, "", "{how}, by {method}");
            });
        }
    }
}

/// What a terminal has for Ctrl-C.
const CTRL_C: u8 = 3;

#[test]
fn ctrl_c_ends_a_program_and_its_workers_silently() {
    with_programs(
        |program| {
            program.types(CTRL_C);
            program.end()
        },
        Signal::SIGINT,
    );
}

#[test]
fn sigterm_to_the_program_ends_its_workers_silently() {
    with_programs(
        |program| {
            kill(program.id(), Signal::SIGTERM).unwrap();
            program.end()
        },
        Signal::SIGTERM,
    );
}

#[test]
fn sigterm_to_the_group_ends_all_silently() {
    with_programs(
        |program| {
            killpg(program.id(), Signal::SIGTERM).unwrap();
            program.end()
        },
        Signal::SIGTERM,
    );
}

#[test]
fn terminal_that_is_closed_ends_all_silently() {
    with_programs(
        |mut program| {
            let (other, _) = open_terminal();
            // Nobody else holds it.
            drop(std::mem::replace(&mut program.terminal, other));
            program.end()
        },
        Signal::SIGHUP,
    );
}

#[test]
fn program_that_handles_ctrl_c_keeps_its_pool() {
    for method in METHODS {
        within(DEADLINE, || {
            let program = Program::start("handle", method);
            program.types(CTRL_C);
            let (status, said) = program.end();
            assert!(status.success(), "{status}: {said}");
            assert_eq!(said, "goes on\n", "by {method}");
        });
    }
}
