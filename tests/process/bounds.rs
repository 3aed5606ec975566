//! Limits on a process, and what joining says when one is reached: time, memory, CPU time,
//! descriptors.

use nix::{libc, sys::signal::Signal};
use procession::{ErrorKind, JoinError, JoinErrorKind, Ran, StartMethod, Stdio, process};
use procession_tests::{
    alone_under_each_method, by, change, child_ids, descriptors, forever, run, send_signal, spawn,
    state, under_each_method,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{
    fs::File,
    io::{PipeReader, Read, Write},
    process::abort,
    thread,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

#[process]
fn hang() {
    forever()
}

#[process]
fn one() -> u32 {
    1
}

fn seen(error: &JoinError) -> (JoinErrorKind, Ran) {
    (error.kind(), error.ran())
}

#[test]
fn timeout_of_any_length_means_what_it_says() {
    under_each_method(|method| {
        let builder = |timeout| by(method).timeout(timeout);
        for timeout in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_micros(20),
        ] {
            let error = builder(timeout).spawn(hang::new()).unwrap().join();
            assert_eq!(
                error.unwrap_err().kind(),
                JoinErrorKind::TimedOut,
                "{timeout:?}"
            );
        }
        let error = builder(Duration::ZERO).spawn(one::new()).unwrap().join();
        assert_eq!(
            seen(&error.unwrap_err()),
            (JoinErrorKind::TimedOut, Ran::No)
        );
        for timeout in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::from_secs(i64::MAX.unsigned_abs()),
            Duration::from_secs(i64::MAX.unsigned_abs() + 1),
            Duration::from_secs(1 << 40),
        ] {
            let child = builder(timeout).spawn(one::new()).unwrap();
            assert_eq!(child.join().unwrap(), 1, "{timeout:?}");
        }
    });
}

/// Never arrives.
#[derive(Serialize)]
struct Endless;

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        forever()
    }
}

#[process]
fn receive(_never: Endless) {}

#[test]
fn timeout_counts_the_decoding_of_arguments() {
    under_each_method(|method| {
        let begun = Instant::now();
        let child = by(method).timeout(SECOND / 10).spawn(receive::new(Endless));
        let error = child.unwrap().join().unwrap_err();
        assert_eq!(seen(&error), (JoinErrorKind::TimedOut, Ran::No));
        assert!(begun.elapsed() < 20 * SECOND, "{:?}", begun.elapsed());
    });
}

/// Waits until this moment, which is what the test is about.
fn wait_until(moment: Instant) {
    loop {
        match moment.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return,
            left => thread::park_timeout(left),
        }
    }
}

#[test]
fn process_killed_by_somebody_else_has_not_timed_out() {
    under_each_method(|method| {
        let start = || by(method).timeout(SECOND / 5).spawn(hang::new()).unwrap();
        // Joined when its time would be over.
        let begun = Instant::now();
        let child = start();
        send_signal(child.id(), Signal::SIGKILL);
        wait_until(begun + SECOND / 4);
        let error = child.join().unwrap_err();
        assert_eq!(seen(&error), (JoinErrorKind::Signalled, Ran::Maybe));
        // And one that nobody killed, joined as late.
        let begun = Instant::now();
        let child = start();
        wait_until(begun + SECOND / 4);
        let error = child.join().unwrap_err();
        assert_eq!(seen(&error), (JoinErrorKind::TimedOut, Ran::Maybe));
    });
}

#[test]
fn timeout_is_told_where_the_kernel_reaps() {
    #[process]
    fn ignore_and_join(method: StartMethod) {
        change::ends_ignored(true);
        let builder = by(method).timeout(SECOND / 5);
        let error = builder.spawn(hang::new()).unwrap().join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::TimedOut);
        let builder = by(method).timeout(Duration::MAX);
        assert_eq!(builder.spawn(one::new()).unwrap().join().unwrap(), 1);
    }
    under_each_method(|method| {
        let child = spawn(method, ignore_and_join::new(method));
        child.join().unwrap();
    });
}

#[test]
fn stopped_process_is_ended_by_its_timeout() {
    under_each_method(|method| {
        let builder = by(method).timeout(SECOND / 4);
        let child = builder.spawn(hang::new()).unwrap();
        child.signal(libc::SIGSTOP).unwrap();
        assert_eq!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut);
    });
}

#[test]
fn memory_that_is_used_up_is_told_with_its_limit() {
    #[process]
    fn swallow(bytes: usize) -> usize {
        let food = vec![1_u8; bytes];
        std::hint::black_box(&food)
            .iter()
            .map(|byte| usize::from(*byte))
            .sum()
    }
    #[process]
    fn nibble() -> usize {
        let mut food = Vec::new();
        loop {
            food.push(vec![1_u8; 1 << 20]);
        }
    }
    under_each_method(|method| {
        let limit = 4 << 30;
        let builder = || {
            let builder = by(method).stderr(Stdio::null());
            builder.memory_limit(limit)
        };
        let with_backtrace = |wanted| builder().env("RUST_BACKTRACE", wanted);
        for error in [
            with_backtrace("0")
                .spawn(swallow::new(1 << 40))
                .unwrap()
                .join(),
            with_backtrace("1")
                .spawn(swallow::new(1 << 40))
                .unwrap()
                .join(),
            with_backtrace("0").spawn(nibble::new()).unwrap().join(),
            with_backtrace("1").spawn(nibble::new()).unwrap().join(),
        ] {
            let error = error.unwrap_err();
            assert_eq!(seen(&error), (JoinErrorKind::OutOfMemory, Ran::Maybe));
            assert_eq!(error.signal(), Some(libc::SIGABRT));
            assert!(error.to_string().contains(&limit.to_string()), "{error}");
            let peak = error.peak_memory().unwrap();
            assert!(peak > 0 && peak <= limit, "{peak}");
        }
        assert_eq!(
            builder().spawn(swallow::new(99)).unwrap().join().unwrap(),
            99
        );
    });
}

#[test]
fn abort_is_no_want_of_memory() {
    #[process]
    fn give_up() {
        abort();
    }
    #[process]
    fn handle_a_refusal() {
        assert!(Vec::<u8>::new().try_reserve(1 << 60).is_err());
        abort();
    }
    under_each_method(|method| {
        let builder = by(method).memory_limit(4 << 30);
        let error = builder.spawn(give_up::new()).unwrap().join().unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::Signalled, Some(libc::SIGABRT))
        );
        // Nor is one after a refusal that was handled.
        let error = spawn(method, handle_a_refusal::new());
        let error = error.join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::Signalled, "{error}");
        // Nor is one that comes from somewhere else.
        let child = spawn(method, hang::new());
        send_signal(child.id(), Signal::SIGABRT);
        assert_eq!(child.join().unwrap_err().kind(), JoinErrorKind::Signalled);
    });
}

#[test]
fn panic_where_memory_is_used_up_is_told() {
    #[process]
    fn panic_in_want(bytes: usize) {
        // What is left is not enough for a backtrace.
        let mut food = Vec::new();
        while food.try_reserve_exact(bytes).is_ok() {
            std::mem::forget(std::mem::take(&mut food));
        }
        drop::<Vec<u8>>(food);
        panic!("in want");
    }
    under_each_method(|method| {
        let sizes = [1 << 20, 64 << 10, 4 << 10, 64];
        for (bytes, asked) in sizes
            .into_iter()
            .flat_map(|size| [(size, true), (size, false)])
        {
            let builder = by(method).stderr(Stdio::null());
            let builder = builder
                .memory_limit(512 << 20)
                .env("RUST_BACKTRACE", if asked { "1" } else { "0" })
                .backtrace(asked);
            let error = builder.spawn(panic_in_want::new(bytes)).unwrap().join();
            let error = error.unwrap_err();
            assert_eq!(error.kind(), JoinErrorKind::Panicked, "{error:?}");
            assert_eq!(error.panic().unwrap().message(), "in want");
        }
    });
}

#[test]
fn cpu_time_that_is_used_up_is_told_with_its_limit() {
    #[process]
    fn busy(ignoring: bool) {
        if ignoring {
            procession_tests::block_signals();
        }
        loop {
            std::hint::spin_loop();
        }
    }
    under_each_method(|method| {
        let builder = || by(method).cpu_time_limit(SECOND);
        for (ignoring, signal) in [(false, libc::SIGXCPU), (true, libc::SIGKILL)] {
            let error = builder()
                .spawn(busy::new(ignoring))
                .unwrap()
                .join()
                .unwrap_err();
            assert_eq!(seen(&error), (JoinErrorKind::CpuTimeExceeded, Ran::Maybe));
            assert_eq!(error.signal(), Some(signal));
            assert!(error.cpu_time().unwrap() >= SECOND / 2, "{error:?}");
            assert!(error.to_string().contains("1s of CPU time"), "{error}");
        }
        // Who is killed before that has not used it up.
        let child = builder().spawn(hang::new()).unwrap();
        send_signal(child.id(), Signal::SIGXCPU);
        assert_eq!(child.join().unwrap_err().kind(), JoinErrorKind::Signalled);
    });
}

/// Leaves no descriptor to be had, and a value that does not fit into a socket.
#[process]
fn grab_all(length: usize) -> Vec<u8> {
    let files = std::iter::from_fn(|| File::open("/dev/null").ok());
    std::mem::forget(files.collect::<Vec<_>>());
    vec![7; length]
}

#[test]
fn value_of_a_process_without_descriptors_arrives_or_says_why_not() {
    under_each_method(|method| {
        let start = |length| {
            let builder = by(method).open_files_limit(64);
            builder.spawn(grab_all::new(length)).unwrap()
        };
        // Whoever joins takes it while it is sent.
        assert!(start(10 << 20).join().unwrap() == vec![7; 10 << 20]);
        // What nobody takes is lost, and the process does not stay for it.
        let mut child = start(10 << 20);
        assert!(child.wait().unwrap().success());
        let error = child.join().unwrap_err();
        assert_eq!(seen(&error), (JoinErrorKind::Unsendable, Ran::Yes));
        let source = procession::Error::from(error);
        let source = std::error::Error::source(&source).unwrap().to_string();
        assert!(source.contains("there was no memory"), "{source}");
        // What fits into the socket needs no memory.
        let mut child = start(1000);
        assert!(child.wait().unwrap().success());
        assert!(child.join().unwrap() == vec![7; 1000]);
    });
}

#[process]
fn hold(mut until: PipeReader) {
    until.read_exact(&mut [0]).unwrap();
}

#[test]
fn kill_on_drop_ends_and_reaps() {
    #[process(kill_on_drop)]
    fn stubborn() {
        procession_tests::block_signals();
        hang();
    }
    alone_under_each_method(|method| {
        let before = (descriptors(), child_ids());
        let builder = || by(method);
        let child = builder().kill_on_drop(true).spawn(hang::new()).unwrap();
        let by_attribute = builder().spawn(stubborn::new()).unwrap();
        by_attribute.signal(libc::SIGSTOP).unwrap();
        let ids = [child.id(), by_attribute.id()];
        drop((child, by_attribute));
        assert_eq!(ids.map(state), [None, None]);
        assert_eq!((descriptors(), child_ids()), before);

        // It is given up by detaching, and by saying otherwise.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let other = reader.try_clone().unwrap();
        let detached = builder()
            .kill_on_drop(true)
            .spawn(hold::new(reader))
            .unwrap();
        let handle = detached.handle();
        detached.detach();
        assert!(handle.is_alive());
        writer.write_all(&[0]).unwrap();
        assert!(handle.wait().unwrap().success());
        if method == StartMethod::Fork {
            // The thread that has reaped it may be there still, and keeps this process from being
            // copied.
            return;
        }
        let child = builder()
            .kill_on_drop(false)
            .spawn(hold::new(other))
            .unwrap();
        let handle = child.handle();
        drop(child);
        assert!(handle.is_alive());
        writer.write_all(&[0]).unwrap();
        assert!(handle.wait().unwrap().success());
    });
}

/// Whether this process ignores a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & (1 << (signal - 1)) != 0
}

#[test]
fn process_can_be_asked_to_end_whatever_its_parent_blocks() {
    #[process]
    fn blocking(method: StartMethod) {
        procession_tests::block_signals();
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // What a shell starts in the background ignores it, and so do its children.
            if signal == libc::SIGINT && is_ignored(signal) {
                continue;
            }
            let child = spawn(method, hang::new());
            child.signal(signal).unwrap();
            let error = child.join().unwrap_err();
            assert_eq!(
                (error.kind(), error.signal()),
                (JoinErrorKind::Killed, Some(signal))
            );
        }
    }
    under_each_method(|method| {
        run(method, blocking::new(method));
    });
}

#[test]
fn too_many_processes_is_said_of_processes_alone() {
    let error = procession::Error::from(std::io::Error::from_raw_os_error(libc::EAGAIN));
    assert_eq!(error.kind(), ErrorKind::Os);
}
