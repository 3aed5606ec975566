//! What cannot be started: a typed error that says why, in bounded time, and nothing left behind.

use procession::{ErrorKind, StartMethod, process};
use procession_tests::{
    ANEW, DEADLINE, Directory, METHODS, alone, alone_under_each_method, by, child_ids, descriptors,
    with_method, within,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use std::{error::Error as _, process::Command};

#[process]
fn nothing() {}

/// Runs an attempt that must fail, and makes sure that it leaves nothing.
fn refused<T: std::fmt::Debug>(
    attempt: impl FnOnce() -> procession::Result<T>,
) -> procession::Error {
    let before = (descriptors(), child_ids());
    let error = attempt().unwrap_err();
    assert_eq!((descriptors(), child_ids()), before, "after {error}");
    error
}

struct Unsendable(String);

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(&self.0))
    }
}

impl<'de> Deserialize<'de> for Unsendable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self(String::new()))
    }
}

#[test]
fn argument_that_cannot_be_encoded_is_named() {
    #[process]
    fn take(_first: u32, luggage: Unsendable) {
        drop(luggage);
    }
    alone_under_each_method(|method| {
        let error = refused(|| {
            by(method)
                .name("porter")
                .spawn(take::new(1, Unsendable("it will not go".into())))
        });
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert_eq!(
            error.to_string(),
            "cannot start process `porter`: argument `luggage` cannot be encoded"
        );
        assert_eq!(error.source().unwrap().to_string(), "it will not go");
    });
}

/// Decides on its arrival what becomes of the child.
#[derive(Clone, Copy, Serialize)]
enum Arrival {
    Refuse,
    Panic,
    Exit,
    Abort,
    Signal,
}

impl<'de> Deserialize<'de> for Arrival {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "Refuse" => Err(serde::de::Error::custom("it will not come in")),
            "Panic" => panic!("on arrival"),
            "Exit" => std::process::exit(4),
            "Abort" => std::process::abort(),
            _ => {
                let id = std::process::id().to_string();
                drop(Command::new("kill").args(["-9", &id]).status());
                unreachable!("it is dead")
            }
        }
    }
}

#[process]
fn arrive(how: Arrival) {
    let _ = how;
}

#[test]
fn child_that_does_not_reach_its_function_is_an_error_that_says_why() {
    alone_under_each_method(|method| {
        let cases = [
            (
                Arrival::Refuse,
                ErrorKind::Decode,
                "a value of type `start::failures::Arrival` cannot be decoded",
            ),
            (
                Arrival::Panic,
                ErrorKind::Decode,
                "decoding its arguments panicked at ",
            ),
            (
                Arrival::Exit,
                ErrorKind::EndedEarly,
                "it ended before it reached its function, with exit status 4",
            ),
            (
                Arrival::Abort,
                ErrorKind::EndedEarly,
                "it ended before it reached its function, killed by SIGABRT",
            ),
            (
                Arrival::Signal,
                ErrorKind::EndedEarly,
                "it ended before it reached its function, killed by SIGKILL",
            ),
        ];
        for (how, kind, what) in cases {
            let error = refused(|| by(method).name("a").spawn(arrive::new(how)));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("cannot start process `a`: {what}")),
                "{error}"
            );
        }
    });
}

#[test]
fn large_arguments_to_a_child_that_dies_at_once_do_not_hang() {
    #[process]
    fn swallow(food: &str) -> usize {
        food.len()
    }
    alone_under_each_method(|method| {
        let food = "a".repeat(100 << 20);
        let builder = || by(method);
        let error = refused(|| {
            builder()
                .current_dir("/nowhere/at/all")
                .spawn(swallow::new(&food))
        });
        assert_eq!(error.kind(), ErrorKind::Setting);
        assert_eq!(error.raw_os_error(), Some(2));
        // Dies for want of memory while it reads.
        let error = refused(|| builder().memory_limit(60 << 20).spawn(swallow::new(&food)));
        assert!(
            matches!(error.kind(), ErrorKind::EndedEarly | ErrorKind::OutOfMemory),
            "{error}"
        );
    });
}

#[test]
fn setting_that_cannot_be_applied_is_named() {
    alone_under_each_method(|method| {
        let builder = || by(method).name("b");
        let cases = [
            (
                builder().current_dir("/nowhere"),
                "its working directory cannot be set to /nowhere",
            ),
            (
                builder().affinity([1000]),
                "it cannot be bound to the CPUs [1000]",
            ),
            (builder().affinity([]), "it cannot be bound to the CPUs []"),
            (
                builder().env("A=B", "x"),
                "its environment cannot have a variable named A=B",
            ),
            (
                builder().env("", "x"),
                "its environment cannot have a variable named ",
            ),
            (
                builder().env("A", "x\0y"),
                "its environment cannot have a NUL in the value of A",
            ),
        ];
        for (builder, what) in cases {
            let error = refused(|| builder.spawn(nothing::new()));
            assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
            assert_eq!(
                error.to_string(),
                format!("cannot start process `b`: {what}")
            );
        }
    });
}

#[test]
fn child_without_room_for_its_descriptors_is_told() {
    #[process]
    fn hold(files: [std::fs::File; 8]) {
        drop(files);
    }
    alone_under_each_method(|method| {
        if method == StartMethod::Fork {
            // A copy has them already, and such a limit is for new ones.
            return;
        }
        let files = || std::array::from_fn(|_| std::fs::File::open("/dev/null").unwrap());
        let error = refused(|| by(method).open_files_limit(8).spawn(hold::new(files())));
        assert_eq!(
            (error.kind(), error.raw_os_error()),
            (ErrorKind::TooManyFiles, Some(24)),
            "{error}"
        );
    });
}

/// What a process of its own finds, because it spoils itself for the others.
fn told_by(act: &str, methods: &[StartMethod]) -> String {
    let told: Vec<_> = methods
        .iter()
        .map(|method| {
            within(DEADLINE, || {
                let output = with_method(&mut Command::new(env!("CARGO_BIN_EXE_spoiled")), *method)
                    .arg(act)
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            })
        })
        .collect();
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
    told[0].clone()
}

#[test]
fn full_descriptor_table_is_told() {
    assert_eq!(told_by("descriptors", &METHODS), "TooManyFiles Some(24)");
}

#[test]
fn no_more_processes_is_told() {
    assert_eq!(told_by("processes", &METHODS), "TooManyProcesses Some(11)");
}

#[test]
fn missing_proc_is_told() {
    let told = told_by("proc", &ANEW);
    if told == "not permitted" {
        eprintln!("skipped: this user may not unmount /proc");
        return;
    }
    assert_eq!(
        told,
        "Executable cannot start process `c`: the executable cannot be found, since /proc is not mounted"
    );
}

#[test]
fn executable_with_privileges_is_refused() {
    alone(|| {
        let directory = Directory::new();
        let copy = directory.0.join("privileged");
        std::fs::copy(env!("CARGO_BIN_EXE_spoiled"), &copy).unwrap();
        for (mode, what) in [(0o4755, "set-user-ID"), (0o2755, "set-user-ID")] {
            std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(mode))
                .unwrap();
            for method in ANEW {
                let mut command = Command::new(&copy);
                let output = with_method(&mut command, method).arg("nothing").output();
                let told = String::from_utf8(output.unwrap().stdout).unwrap();
                assert!(
                    told.starts_with("Privileged") && told.contains(what),
                    "{told}"
                );
            }
        }
    });
}
