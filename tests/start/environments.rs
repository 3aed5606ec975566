//! Where a program may find itself, and what it may become after its first start: its children go
//! along, or it is told why not.

use procession::StartMethod;
use procession_tests::{ANEW, DEADLINE, Directory, METHODS, with_method, within};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

const PLACED: &str = env!("CARGO_BIN_EXE_placed");

fn placed(method: StartMethod, act: &[&str]) -> Command {
    let mut command = Command::new(PLACED);
    with_method(&mut command, method)
        .args(act)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// What the program says; `None` where it may not do what it was told to.
fn said(command: &mut Command) -> Option<String> {
    let output = within(DEADLINE, || command.output().unwrap());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {said}");
    if said.ends_with("not permitted\n") {
        eprintln!("skipped: this user, or this kernel, may not do that");
        return None;
    }
    Some(said)
}

fn assert_said(methods: &[StartMethod], act: &[&str], expected: &str) {
    for method in methods {
        if let Some(said) = said(&mut placed(*method, act)) {
            assert_eq!(said, expected, "{act:?} under {method}");
        }
    }
}

#[test]
fn removed_variable_is_nowhere() {
    let mut command = placed(StartMethod::ForkServer, &["secret"]);
    let said = said(command.env("TOKEN", "canary-8d1f6b")).unwrap();
    // A child of the helper has it in memory only, from its parent; one that was run anew shows
    // what it was run with.
    let expected = "first Ok((false, true))\n\
        first Ok((true, true))\n\
        helper (false, false)\n\
        spare (false, false)\n\
        by the spare Ok((false, false))\n\
        forkserver Ok((false, false))\n\
        spawn Ok((false, false))\n\
        new helper Ok((false, false))\n\
        new helper (false, false)\n";
    assert_eq!(said, expected);
}

#[test]
fn every_variable_arrives() {
    for method in METHODS {
        let mut command = placed(method, &["variables"]);
        command.env_clear();
        with_method(&mut command, method);
        for number in 0..13_000 {
            command.env(format!("OLD_{number}"), "with = and\nlines");
        }
        let expected = "13001 the same: true\n0 Some((\"NEW_1\", \"one\"))\n";
        assert_eq!(said(&mut command).unwrap(), expected, "under {method}");
    }
}

#[test]
fn child_has_the_root_directory_of_its_parent() {
    for method in METHODS {
        let directory = Directory::new();
        let root = directory.0.join("root");
        fs::create_dir(&root).unwrap();
        let said = said(&mut placed(method, &["root", root.to_str().unwrap()]));
        // What was mounted there was so for that program only.
        fs::remove_dir(&root).unwrap();
        if let Some(said) = said {
            assert_eq!(said, "false false\ntrue true\n", "under {method}");
        }
    }
}

#[test]
fn sandbox_entered_after_the_first_start_holds_for_children() {
    assert_said(&METHODS, &["sandbox"], "false false\ntrue true\n");
}

#[test]
fn child_is_what_its_parent_has_become() {
    assert_said(&METHODS, &["changes"], "compared\n");
}

#[test]
fn first_child_in_another_pid_namespace_starts() {
    for act in ["elsewhere", "elsewhere later"] {
        assert_said(&ANEW, &[act], "spawn Ok((0, 0))\n");
    }
}

#[test]
fn children_start_after_the_end_of_the_main_thread() {
    assert_said(&ANEW, &["no main thread"], "true\n");
}

#[test]
fn children_start_with_a_read_only_root() {
    assert_said(&METHODS, &["read-only"], "true\n");
}

#[test]
fn children_start_where_processes_are_hidden() {
    assert_said(&METHODS, &["hidden"], "true\n");
}

#[test]
fn missing_null_device_is_named() {
    let expected = "cannot start process `c`: /dev/null cannot be opened: Some(2)\n\
        cannot start process `c`: /dev/null cannot be opened: Some(2)\n\
        cannot start process `c`: /dev/null cannot be opened for its standard streams: Some(2)\n";
    assert_said(&[StartMethod::ForkServer], &["null"], expected);
}

#[test]
fn foreign_proc_is_told() {
    let expected = "cannot start process `c`: the executable cannot be found, since /proc is that of another PID namespace\n";
    assert_said(&ANEW, &["foreign proc"], expected);
}

#[test]
fn children_start_in_a_pid_namespace_with_the_proc_of_another() {
    for method in METHODS {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", PLACED, "method"]);
        let output = within(DEADLINE, || with_method(&mut command, method).output());
        match output {
            Ok(output) if !output.stdout.is_empty() => {
                let said = String::from_utf8(output.stdout).unwrap();
                assert_eq!(said, format!("{method} true\n"));
            }
            Ok(output) if String::from_utf8_lossy(&output.stderr).starts_with("unshare:") => {
                eprintln!("skipped: this user may not make such namespaces");
            }
            Ok(output) => panic!("{output:?}"),
            Err(_) => eprintln!("skipped: there is no `unshare` here"),
        }
    }
}

#[test]
fn long_name_is_cut_between_characters() {
    assert_said(&METHODS, &["name"], "Ok(Ok(\"обработ\\n\"))\n");
}

#[test]
fn children_start_without_standard_streams() {
    for method in METHODS {
        let directory = Directory::new();
        let output = directory.0.join("closed");
        let script = "exec \"$0\" method 0<&- 2>&- >\"$1\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, PLACED]).arg(&output);
        said(with_method(&mut shell, method)).unwrap();
        assert_eq!(
            fs::read_to_string(&output).unwrap(),
            format!("{method} true\n")
        );
    }
}

/// What a library does before the program begins: it opens a file and leaves it open for whatever
/// is run, or starts a thread.
const LIBRARY: &str = r#"
    #include <fcntl.h>
    #include <pthread.h>
    #include <stdlib.h>
    #include <unistd.h>

    static void *wait_for_ever(void *nothing) {
        for (;;)
            pause();
        return nothing;
    }

    __attribute__((constructor)) static void begin(void) {
        const char *path = getenv("TEST_OPEN");
        if (path && open(path, O_RDONLY) < 0)
            abort();
        pthread_t thread;
        if (getenv("TEST_THREAD") && pthread_create(&thread, NULL, wait_for_ever, NULL))
            abort();
    }
"#;

/// Compiles the library; `None` where there is no compiler.
fn library() -> Option<PathBuf> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    COMPILED.get_or_init(compile).clone()
}

fn compile() -> Option<PathBuf> {
    if cfg!(target_feature = "crt-static") {
        eprintln!("skipped: nothing is preloaded into a static program");
        return None;
    }
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preloaded.so");
    // Another run of this test may be using it.
    let fresh = library.with_extension(std::process::id().to_string());
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-pthread", "-x", "c", "-", "-o"]);
    let Ok(mut child) = compiler.arg(&fresh).stdin(Stdio::piped()).spawn() else {
        eprintln!("skipped: there is no C compiler here");
        return None;
    };
    let mut source = child.stdin.take().unwrap();
    source.write_all(LIBRARY.as_bytes()).unwrap();
    drop(source);
    assert!(child.wait().unwrap().success());
    fs::rename(fresh, &library).unwrap();
    Some(library)
}

#[test]
fn descriptor_of_a_library_stays_open_and_that_of_the_parent_does_not() {
    let Some(library) = library() else { return };
    for method in ANEW {
        let mut command = placed(method, &["hold", "/dev/zero", "/dev/full"]);
        command
            .env("LD_PRELOAD", &library)
            .env("TEST_OPEN", "/dev/zero");
        assert_eq!(said(&mut command).unwrap(), "1 0\n", "under {method}");
    }
}

#[test]
fn helper_with_more_threads_forks_nothing() {
    let Some(library) = library() else { return };
    let mut command = placed(StartMethod::ForkServer, &["method"]);
    command.env("LD_PRELOAD", &library).env("TEST_THREAD", "1");
    assert_eq!(said(&mut command).unwrap(), "spawn true\n");
}
