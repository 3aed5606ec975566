//! What joining gives: the value, or one typed reason why there is none.

use nix::libc;
use procession::{Builder, ErrorKind, JoinErrorKind, Process, Ran, Stdio, process};
use procession_tests::{by, chain, forever, spawn, under_each_method};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    error::Error,
    io::{self, PipeReader, Read, Write},
    os::unix::process::ExitStatusExt,
    panic, thread,
    time::Duration,
};

#[process]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[process]
fn hang() {
    forever()
}

#[process]
fn say_no(message: &str) -> u32 {
    panic!("{message}");
}

/// Where it panics.
const NO: u32 = line!() - 4;

#[process]
fn exit_with(status: i32) -> u32 {
    std::process::exit(status)
}

#[process]
fn abort() -> u32 {
    std::process::abort()
}

#[test]
fn join_returns_value() {
    under_each_method(|method| {
        let child = spawn(method, add::new(1, 2));
        assert_eq!(child.start_method(), method);
        assert_eq!(child.join().unwrap(), 3);
    });
}

#[process]
fn wait_for_a_byte(mut from: PipeReader) {
    from.read_exact(&mut [0]).unwrap();
}

/// Hands back a value, and has a child of its own left to wait for.
#[process]
fn outlived(value: u32, from: PipeReader) -> u32 {
    drop(wait_for_a_byte::spawn(from).unwrap());
    value
}

#[test]
fn value_comes_before_the_end() {
    under_each_method(|method| {
        let builder = || by(method);
        let (reader, mut writer) = io::pipe().unwrap();
        let mut child = builder().spawn(outlived::new(7, reader)).unwrap();
        assert_eq!(child.value().unwrap(), 7);
        assert!(child.is_alive());
        assert_eq!(child.value().unwrap_err().kind(), JoinErrorKind::Taken);
        writer.write_all(&[0]).unwrap();
        assert!(child.wait().unwrap().success());

        let mut child = builder().spawn(say_no::new("no")).unwrap();
        let error = child.value().unwrap_err();
        assert_eq!(error.panic().unwrap().message(), "no");
        assert_eq!(error.status().unwrap().code(), Some(101));

        let mut child = builder().spawn(exit_with::new(3)).unwrap();
        assert_eq!(child.value().unwrap_err().kind(), JoinErrorKind::Exited);

        let mut child = builder().spawn(hang::new()).unwrap();
        child.kill().unwrap();
        assert_eq!(child.value().unwrap_err().kind(), JoinErrorKind::Killed);
    });
}

#[test]
fn plain_call_runs_here() {
    #[process]
    fn here() -> u32 {
        std::process::id()
    }
    assert_eq!(here(), std::process::id());
    assert_eq!(here::new().run(), std::process::id());
    assert_ne!(here::spawn().unwrap().join().unwrap(), std::process::id());
}

#[test]
fn two_steps_and_named_arguments_are_the_same_process() {
    assert_eq!(add::new(3, 4).spawn().unwrap().join().unwrap(), 7);
    assert_eq!(add { b: 4, a: 3 }.spawn().unwrap().join().unwrap(), 7);
}

#[test]
fn value_of_any_size_is_there_however_late_it_is_joined() {
    #[process]
    fn blow_up(length: usize) -> Vec<u8> {
        vec![7; length]
    }
    under_each_method(|method| {
        for length in [0, 1, 60_000, 70_000, 300_000, 20_000_000] {
            let mut child = spawn(method, blow_up::new(length));
            // It ends although nobody has read its value yet.
            assert!(child.wait().unwrap().success());
            assert!(!child.is_alive());
            assert!(child.join().unwrap() == vec![7; length], "{length} bytes");
        }
    });
}

#[test]
fn panic_is_told_with_its_place() {
    under_each_method(|method| {
        let child = by(method)
            .name("naysayer")
            .backtrace(false)
            .spawn(say_no::new("no, never"))
            .unwrap();
        let id = child.id();
        let error = child.join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::Panicked);
        assert_eq!((error.name(), error.id()), ("naysayer", id));
        assert_eq!(error.status().unwrap().code(), Some(101));
        let panic = error.panic().unwrap();
        assert_eq!(panic.message(), "no, never");
        assert_eq!(panic.file(), Some(file!()));
        assert_eq!((panic.line(), panic.column()), (Some(NO), Some(5)));
        assert_eq!(panic.backtrace(), None);
        let place = format!("{}:{NO}:5", file!());
        assert_eq!(
            error.to_string(),
            format!("process `naysayer` (pid {id}) panicked at {place}: no, never")
        );
    });
}

#[test]
fn backtrace_is_told_when_it_is_asked_for() {
    #[process]
    fn trace() -> u32 {
        deeper()
    }
    #[inline(never)]
    fn deeper() -> u32 {
        panic!("here")
    }
    under_each_method(|method| {
        let builder = || {
            let builder = by(method).stderr(Stdio::null());
            let builder = builder.env_remove("RUST_LIB_BACKTRACE");
            builder.env_remove("RUST_BACKTRACE")
        };
        let by_environment = || builder().env("RUST_BACKTRACE", "1");
        for (builder, wanted) in [
            (builder(), false),
            (builder().backtrace(true), true),
            (by_environment(), true),
            (by_environment().env("RUST_LIB_BACKTRACE", "0"), false),
            (by_environment().backtrace(false), false),
        ] {
            let error = builder.spawn(trace::new()).unwrap().join().unwrap_err();
            let panic = error.panic().unwrap();
            assert_eq!(panic.message(), "here");
            assert_eq!(panic.backtrace().is_some(), wanted);
            if let Some(backtrace) = panic.backtrace() {
                let first = backtrace.lines().next().unwrap();
                assert!(
                    first.starts_with("   0: ") && first.contains("deeper"),
                    "{backtrace}"
                );
                assert!(backtrace.contains("trace"), "{backtrace}");
                // Nothing of what stands above and below the user's functions.
                for other in ["std::", "core::panicking", "procession::", "__run", "libc"] {
                    let names = backtrace
                        .lines()
                        .filter(|line| !line.trim().starts_with("at "));
                    let mut names =
                        names.map(|line| line.split_once(": ").map_or("", |(_, name)| name));
                    assert!(
                        !names.any(|name| name.starts_with(other)),
                        "{other} in {backtrace}"
                    );
                }
            }
        }
    });
}

#[test]
fn panic_under_a_hook_of_the_users_keeps_its_message() {
    #[process]
    fn hooked() -> u32 {
        panic::set_hook(Box::new(|_| {}));
        panic!("seen {}", "all the same")
    }
    let error = hooked::spawn().unwrap().join().unwrap_err();
    let panic = error.panic().unwrap();
    assert_eq!(panic.message(), "seen all the same");
    assert_eq!((panic.file(), panic.backtrace()), (None, None));
}

#[test]
fn panic_that_was_caught_is_no_end() {
    #[process]
    fn resilient() -> u32 {
        assert!(panic::catch_unwind(|| panic!("first")).is_err());
        5
    }
    assert_eq!(resilient::spawn().unwrap().join().unwrap(), 5);
}

#[test]
fn panic_that_meets_another_is_told() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    #[process]
    fn twice() -> u32 {
        let _bomb = Bomb;
        panic!("first")
    }
    let error = twice::spawn().unwrap().join().unwrap_err();
    // The one that the process did not survive.
    assert_eq!(error.panic().unwrap().message(), "second");
    assert_eq!(
        (error.kind(), error.signal()),
        (JoinErrorKind::Panicked, Some(6))
    );
}

#[test]
fn panic_with_any_payload_is_a_panic() {
    #[process]
    fn odd() -> u32 {
        panic::panic_any(42_u8)
    }
    let error = odd::spawn().unwrap().join().unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "Box<dyn Any>");
}

#[test]
fn panic_in_another_thread_of_the_child_is_its_own_business() {
    #[process]
    fn threaded() -> bool {
        thread::spawn(|| panic!("on a thread")).join().is_err()
    }
    assert!(threaded::spawn().unwrap().join().unwrap());
}

#[test]
fn exit_without_a_value_is_told_with_its_status() {
    under_each_method(|method| {
        for status in [0, 3, 255] {
            let child = spawn(method, exit_with::new(status));
            let id = child.id();
            let error = child.join().unwrap_err();
            assert_eq!(error.kind(), JoinErrorKind::Exited);
            assert_eq!(error.status().unwrap().code(), Some(status));
            let name = error.name().to_owned();
            assert_eq!(
                error.to_string(),
                format!(
                    "process `{name}` (pid {id}) exited with status {status} and without a value"
                )
            );
        }
    });
}

#[test]
fn foreign_signal_is_told_by_its_name() {
    #[process]
    fn shoot_myself(signal: i32) -> u32 {
        let status = std::process::Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(std::process::id().to_string())
            .status();
        panic!("the signal should have come before {status:?}");
    }
    under_each_method(|method| {
        for (signal, name) in [
            (11, "SIGSEGV"),
            (9, "SIGKILL"),
            (15, "SIGTERM"),
            (libc::SIGRTMIN() + 6, "SIGRTMIN+6"),
        ] {
            let child = spawn(method, shoot_myself::new(signal));
            let error = child.join().unwrap_err();
            assert_eq!(
                (error.kind(), error.signal()),
                (JoinErrorKind::Signalled, Some(signal))
            );
            assert!(
                error
                    .to_string()
                    .contains(&format!(" was killed by {name}")),
                "{error}"
            );
        }
        let error = spawn(method, abort::new()).join().unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::Signalled, Some(6))
        );
    });
}

#[test]
fn kill_from_here_is_told_apart() {
    under_each_method(|method| {
        let start = || spawn(method, hang::new());
        let child = start();
        child.kill().unwrap();
        let error = child.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::Killed, Some(9))
        );
        let child = start();
        child.terminate().unwrap();
        let error = child.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::Killed, Some(15))
        );
        assert!(
            error
                .to_string()
                .ends_with("was killed by SIGTERM from this process"),
            "{error}"
        );
    });
}

#[test]
fn value_that_arrived_wins_over_a_kill() {
    let mut child = add::spawn(1, 1).unwrap();
    child.wait().unwrap();
    child.kill().unwrap();
    assert_eq!(child.join().unwrap(), 2);
}

#[test]
fn timeout_kills_a_busy_loop() {
    #[process]
    fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }
    under_each_method(|method| {
        let timeout = Duration::from_millis(50);
        let child = by(method).timeout(timeout).spawn(spin::new()).unwrap();
        let error = child.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::TimedOut, Some(9))
        );
        assert!(
            error
                .to_string()
                .ends_with("used up its timeout of 50ms and was killed"),
            "{error}"
        );
    });
}

#[test]
fn timeout_leaves_a_quick_process_alone() {
    let child = Builder::new()
        .timeout(Duration::from_secs(50))
        .spawn(add::new(2, 2))
        .unwrap();
    assert_eq!(child.join().unwrap(), 4);
}

/// Travels in one direction only.
#[derive(Debug)]
struct OneWay {
    out: bool,
}

impl Serialize for OneWay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.out {
            serializer.serialize_bool(true)
        } else {
            Err(ser::Error::custom("it stays where it is"))
        }
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)?;
        Err(de::Error::custom("it does not want to arrive"))
    }
}

#[test]
fn value_that_cannot_be_decoded_is_told() {
    #[process]
    fn make(out: bool) -> OneWay {
        OneWay { out }
    }
    let error = make::spawn(true).unwrap().join().unwrap_err();
    assert_eq!(error.kind(), JoinErrorKind::Undecodable);
    let cause = error.source().unwrap().source().unwrap();
    assert_eq!(cause.to_string(), "it does not want to arrive");
    assert_eq!(error.ran(), Ran::Yes);
    assert!(format!("{error:?}").contains("it does not want to arrive"));
    let error = make::spawn(false).unwrap().join().unwrap_err();
    assert_eq!(
        (error.kind(), error.ran()),
        (JoinErrorKind::Unsendable, Ran::Yes)
    );
    let id = error.id();
    let sentences = [
        format!("process `make-2` (pid {id}) returned a value that cannot be sent"),
        "the output cannot be encoded".into(),
        "it stays where it is".into(),
    ];
    assert_eq!(chain(&error), sentences);
    assert!(format!("{error:?}").contains("it stays where it is"));
    // The error that serves for all has the same chain.
    assert_eq!(chain(&procession::Error::from(error)), sentences);
}

#[test]
fn converted_error_says_its_sentence_once() {
    let error = procession::Error::from(io::Error::other("the disk is gone"));
    assert_eq!(chain(&error), ["the disk is gone"]);
    let error = procession::Error::from(io::Error::from_raw_os_error(libc::EMFILE));
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (ErrorKind::TooManyFiles, Some(libc::EMFILE))
    );
    assert_eq!(chain(&error).len(), 1);
    let error = procession::Error::from(exit_with::spawn(3).unwrap().join().unwrap_err());
    assert_eq!(chain(&error).len(), 1);
}

#[test]
fn join_with_a_timeout_waits_no_longer() {
    under_each_method(|method| {
        let mut child = spawn(method, hang::new());
        assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), None);
        assert_eq!(child.join_timeout(Duration::from_millis(5)).unwrap(), None);
        assert_eq!(child.try_join().unwrap(), None);
        assert!(child.is_alive());
        child.kill().unwrap();
        assert_eq!(
            child.join_timeout(Duration::MAX).unwrap_err().kind(),
            JoinErrorKind::Killed
        );
        assert!(!child.is_alive());
    });
}

#[test]
fn value_is_given_out_once() {
    let mut child = add::spawn(5, 6).unwrap();
    assert_eq!(
        child.join_timeout(Duration::from_secs(50)).unwrap(),
        Some(11)
    );
    assert_eq!(child.try_join().unwrap_err().kind(), JoinErrorKind::Taken);
}

#[test]
fn shutdown_asks_then_kills() {
    #[process]
    fn stubborn() {
        // Blocked in this thread, which is the only one.
        procession_tests::block_signals();
        println!("deaf");
        hang();
    }
    under_each_method(|method| {
        let mut child = spawn(method, hang::new());
        assert_eq!(
            child.shutdown(Duration::from_secs(50)).unwrap().signal(),
            Some(15)
        );
        let builder = by(method).stdout(Stdio::piped());
        let mut child = builder.spawn(stubborn::new()).unwrap();
        // Once it has spoken it is deaf.
        let mut said = [0; 5];
        Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(
            child.shutdown(Duration::from_millis(20)).unwrap().signal(),
            Some(9)
        );
    });
}

#[test]
fn errors_are_send_and_convert() {
    fn check<T: Error + Send + Sync + 'static>() {}
    check::<procession::Error>();
    check::<procession::JoinError>();
    let join = || exit_with::spawn(3).unwrap().join().unwrap_err();
    let error = procession::Error::from(join());
    assert_eq!(error.kind(), ErrorKind::Join);
    assert_eq!(
        error.join_error().map(procession::JoinError::kind),
        Some(JoinErrorKind::Exited)
    );
    assert!(
        io::Error::from(join())
            .get_ref()
            .unwrap()
            .is::<procession::JoinError>()
    );
}

#[test]
fn stack_overflow_is_said_as_such() {
    #[process]
    fn deeper(n: u64) -> u64 {
        let mut frame = [n; 256];
        std::hint::black_box(&mut frame);
        if n == u64::MAX {
            0
        } else {
            deeper(n + 1) + frame[7]
        }
    }
    let mut child = Builder::new()
        .name("digger")
        .stderr(Stdio::piped())
        .spawn(deeper::new(0))
        .unwrap();
    let said = procession_tests::read_to_end(child.stderr.take().unwrap());
    assert!(said.contains("has overflowed its stack"), "{said}");
    assert!(said.contains("digger") || said.contains("main"), "{said}");
    let error = child.join().unwrap_err();
    assert_eq!(
        (error.kind(), error.signal()),
        (JoinErrorKind::Signalled, Some(6))
    );
}

/// A process whose answers do not fit into its socket does not stay because nobody joins it.
#[test]
fn long_panic_with_a_long_backtrace_can_be_joined_later() {
    #[inline(never)]
    fn dig(depth: u32) -> u32 {
        assert!(depth > 0, "{}", "x".repeat(60_000));
        std::hint::black_box(dig(depth - 1) + 1)
    }

    #[process]
    fn fall(depth: u32) -> u32 {
        dig(depth)
    }

    under_each_method(|method| {
        for depth in [10, 200, 300, 400, 500, 600, 1000] {
            let builder = by(method).backtrace(true).stderr(Stdio::null());
            let mut child = builder.spawn(fall::new(depth)).unwrap();
            assert!(!child.wait().unwrap().success());
            let error = child.join().unwrap_err();
            assert_eq!(error.kind(), JoinErrorKind::Panicked);
            let panic = error.panic().unwrap();
            assert_eq!(panic.message(), "x".repeat(60_000));
            assert!(panic.backtrace().is_some());
        }
    });
}
