//! How a child gets to its function, and how nothing else does.

use procession::{StartMethod, process};
use procession_tests::{
    ANEW, DEADLINE, Directory, METHODS, by, with_each_method, with_method, within,
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

const VARIABLE: &str = "PROCESSION_CHILD";

/// The value of the variable by which this process was told that it is a child, read before it was
/// wiped.
static MARK: OnceLock<Option<String>> = OnceLock::new();

#[allow(unsafe_code, reason = "naming a section is unsafe")]
#[used]
// SAFETY: this section holds pointers to functions that may ignore their arguments, as this one
// does.
#[unsafe(link_section = ".init_array.00001")]
static REMEMBER: extern "C" fn() = {
    extern "C" fn remember() {
        MARK.get_or_init(|| std::env::var(VARIABLE).ok());
    }
    remember
};

#[process]
fn told() -> Option<String> {
    MARK.get().cloned().flatten()
}

/// What a parent sets the variable to, the same in every program that is linked with the same copy
/// of the crate.
fn mark() -> &'static str {
    static TOLD: OnceLock<String> = OnceLock::new();
    TOLD.get_or_init(|| {
        let child = by(StartMethod::Spawn).spawn(told::new());
        child.unwrap().join().unwrap().expect("it was set")
    })
}

const PLAIN: &str = env!("CARGO_BIN_EXE_plain");
const DEFERRED: &str = env!("CARGO_BIN_EXE_deferred");

fn run(command: &mut Command) -> Output {
    within(DEADLINE, || command.output().unwrap())
}

/// What a program says when it is told to act, beside the one `main` that says who says it.
fn said(program: impl AsRef<Path>, act: &str) -> String {
    let said = METHODS.map(|method| said_under(method, program.as_ref(), act));
    assert!(said.iter().all(|other| *other == said[0]), "{said:?}");
    said[0].clone()
}

fn said_under(method: StartMethod, program: &Path, act: &str) -> String {
    let mut command = Command::new(program);
    let output = run(with_method(&mut command, method)
        .arg(act)
        .stdin(Stdio::null()));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{} {act}: {said}",
        program.display()
    );
    let (main, rest) = said.split_once('\n').unwrap();
    assert_eq!(main, "main");
    rest.to_owned()
}

#[test]
fn main_runs_once_and_in_no_child() {
    for program in [PLAIN, DEFERRED] {
        assert_eq!(said(program, "value"), "Ok(3)\n");
        assert_eq!(said(program, "nest"), "Ok(3)\n");
    }
}

#[test]
fn panics_and_overflows_are_told_alike() {
    for program in [PLAIN, DEFERRED] {
        assert_eq!(said(program, "panic"), "Panicked in the child true None\n");
        assert_eq!(said(program, "dig"), "Signalled Some(6)\n");
    }
}

#[test]
fn surroundings_are_alike_but_for_the_name_of_the_thread() {
    // The name of the program. The other arguments of the parent are not in the child.
    let arguments = usize::from(!cfg!(target_env = "musl"));
    for method in ANEW {
        assert_eq!(
            said_under(method, Path::new(PLAIN), "look"),
            format!("(\"unnamed\", {arguments}, true)\n")
        );
        assert_eq!(
            said_under(method, Path::new(DEFERRED), "look"),
            "(\"main\", 1, true)\n"
        );
    }
    // A copy goes on in the thread that was copied.
    for program in [PLAIN, DEFERRED] {
        assert_eq!(
            said_under(StartMethod::Fork, Path::new(program), "look"),
            "(\"main\", 2, true)\n"
        );
    }
}

/// Another name of a program, which may be taken away. (A copy could not be run while some other
/// test forks with the file still open for writing.)
struct Name(
    PathBuf,
    #[expect(dead_code, reason = "it is removed with this")] Directory,
);

impl Name {
    fn of(program: &str, name: &str) -> Self {
        // A hard link is in the file system of what it leads to.
        let directory = Directory::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let path = directory.0.join(name);
        fs::hard_link(program, &path).unwrap();
        Self(path, directory)
    }
}

#[test]
fn executable_may_be_deleted_or_replaced_after_the_start() {
    for program in [PLAIN, DEFERRED] {
        for replace in [false, true] {
            with_each_method(|method| {
                let name = Name::of(program, "replaced");
                let mut child = with_method(&mut Command::new(&name.0), method)
                    .arg("wait")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut said = BufReader::new(child.stdout.take().unwrap());
                let mut line = String::new();
                said.read_line(&mut line).unwrap();
                assert_eq!(line, "main\n");
                fs::remove_file(&name.0).unwrap();
                if replace {
                    fs::write(&name.0, "#!/bin/false\n").unwrap();
                }
                child.stdin.take().unwrap().write_all(b"go\n").unwrap();
                line.clear();
                said.read_to_string(&mut line).unwrap();
                assert_eq!(line, "Ok(3)\n");
                assert!(child.wait().unwrap().success());
            });
        }
    }
}

#[test]
fn variable_alone_starts_nothing() {
    for program in [PLAIN, DEFERRED] {
        let mut command = Command::new(program);
        command.arg("environment").env(VARIABLE, mark());
        // Nothing there, a file, a pipe, and a socket of the wrong kind.
        for stdin in [
            Stdio::null(),
            fs::File::open(program).unwrap().into(),
            Stdio::piped(),
        ] {
            let output = run(command.stdin(stdin));
            // It is ignored, and gone.
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "main\nNone\n");
        }
    }
}

#[test]
fn mark_of_another_copy_of_the_crate_is_left_to_it() {
    for program in [PLAIN, DEFERRED] {
        for mark in [String::new(), "1".into(), format!("{}x", mark())] {
            let (_ours, theirs) = UnixStream::pair().unwrap();
            let mut command = Command::new(program);
            command.arg("environment").env(VARIABLE, &mark);
            let output = run(command.stdin(OwnedFd::from(theirs)));
            assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                format!("main\nSome({mark:?})\n")
            );
        }
    }
}

#[test]
fn socket_of_another_than_the_parent_starts_nothing() {
    for program in [PLAIN, DEFERRED] {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        // The shell is the parent, and we have made the socket.
        let mut command = Command::new("sh");
        command
            .args(["-c", "\"$0\" environment; exit 0", program])
            .env(VARIABLE, mark());
        let output = run(command.stdin(OwnedFd::from(theirs)));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "main\nNone\n");
    }
}

#[test]
fn orphan_does_not_run_main() {
    for program in [PLAIN, DEFERRED] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        let mut command = Command::new("sh");
        command
            .args(["-c", "\"$0\" environment; exit 0", program])
            .env(VARIABLE, mark());
        let output = run(command.stdin(OwnedFd::from(theirs)));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    }
}

#[test]
fn child_that_is_told_nonsense_ends() {
    for program in [PLAIN, DEFERRED] {
        for nonsense in [&[][..], b"x", &[0; 24], &[0xff; 24], &[7; 4096]] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(nonsense).unwrap();
            ours.shutdown(std::net::Shutdown::Write).unwrap();
            let mut command = Command::new(program);
            command
                .arg("value")
                .env(VARIABLE, mark())
                .stdin(OwnedFd::from(theirs));
            let output = run(&mut command);
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

#[test]
fn program_works_under_valgrind() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: there is no valgrind here");
        return;
    }
    for program in [PLAIN, DEFERRED] {
        for children in ["no", "yes"] {
            for method in METHODS {
                let mut command = Command::new("valgrind");
                command.args([
                    "-q",
                    &format!("--trace-children={children}"),
                    program,
                    "value",
                ]);
                let output = run(with_method(&mut command, method).stdin(Stdio::null()));
                assert_eq!(String::from_utf8(output.stdout).unwrap(), "main\nOk(3)\n");
            }
        }
    }
}

#[test]
fn program_works_under_a_debugger() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("skipped: there is no gdb here");
        return;
    }
    for method in METHODS {
        let mut command = Command::new("gdb");
        command.args([
            "-q", "-nx", "-batch", "-ex", "run", "--args", PLAIN, "value",
        ]);
        // It asks the network for symbols where it is told to.
        command.env_remove("DEBUGINFOD_URLS");
        let output = run(with_method(&mut command, method).stdin(Stdio::null()));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.contains("\nOk(3)\n") && said.contains("exited normally"),
            "{said}"
        );
    }
}

#[test]
fn dynamic_loader_by_name_is_told() {
    if cfg!(target_feature = "crt-static") {
        eprintln!("skipped: no loader loads a static program");
        return;
    }
    let Some(loader) = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .iter()
        .find(|path| Path::new(path).exists())
    else {
        eprintln!("skipped: there is no dynamic loader here");
        return;
    };
    let output = run(Command::new(loader)
        .arg(PLAIN)
        .arg("value")
        .stdin(Stdio::null()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("`add` is not part of the main executable"),
        "{said}"
    );
}
