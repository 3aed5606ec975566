//! Handles, several children at once, and what dropping gives up.

use nix::{
    libc,
    sched::{CloneFlags, unshare},
};
use procession::{Child, JoinErrorKind, StartMethod, Stdio, children, join_all, process, wait_any};
use procession_tests::{
    DEADLINE, alone_under_each_method, by, change, child_ids, descriptors, eventually, read_to_end,
    refuse, run, state, threads, under_each_method,
};
use std::{
    fs,
    io::{Read, Write},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::ChildStdin,
    thread,
    time::Duration,
};

/// Ends when it is told to, or when nobody can tell it any more.
#[process]
fn wait_for_end() -> u32 {
    let _ = std::io::stdin().read(&mut [0]).unwrap();
    7
}

/// Tells one to end. That its standard input ends would not reach it where copies of this process
/// hold the pipe too.
fn end(stdin: Option<ChildStdin>) {
    stdin.unwrap().write_all(b"!").unwrap();
}

fn start(method: StartMethod) -> Child<u32> {
    by(method)
        .stdin(Stdio::piped())
        .spawn(wait_for_end::new())
        .unwrap()
}

#[test]
fn handle_signals_while_another_thread_joins() {
    under_each_method(|method| {
        let mut child = start(method);
        let stdin = child.stdin.take();
        let handle = child.handle();
        let joiner = thread::spawn(move || child.join().unwrap_err());
        assert!(handle.is_alive());
        handle.clone().terminate().unwrap();
        let error = joiner.join().unwrap();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::Killed, Some(15))
        );
        // Of no effect, and no error, on what has ended.
        handle.kill().unwrap();
        assert!(!handle.is_alive());
        assert_eq!(handle.wait().unwrap().signal(), Some(15));
        drop(stdin);
    });
}

#[test]
fn signal_that_does_not_exist_is_refused() {
    let child = start(StartMethod::default());
    for signal in [-1, 0, 65, i32::MAX] {
        let error = child.signal(signal).unwrap_err();
        let expected = format!(
            "process `{}` (pid {}) cannot be sent signal {signal}",
            child.name(),
            child.id()
        );
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(child.join().unwrap(), 7);
}

#[test]
fn many_are_joined_in_order() {
    #[process]
    fn double(n: u32) -> u32 {
        assert_ne!(n, 3, "three is too many");
        2 * n
    }
    under_each_method(|method| {
        let spawn = |n| {
            by(method)
                .stderr(Stdio::null())
                .spawn(double::new(n))
                .unwrap()
        };
        let results = join_all((1..=4).map(spawn));
        let kinds: Vec<_> = results
            .iter()
            .map(|result| result.as_ref().map_err(procession::JoinError::kind))
            .collect();
        assert_eq!(
            kinds,
            [Ok(&2), Ok(&4), Err(JoinErrorKind::Panicked), Ok(&8)]
        );
    });
}

#[test]
fn wait_any_tells_who_has_ended() {
    under_each_method(|method| {
        let mut all = [start(method), start(method), start(method)];
        assert_eq!(wait_any(&all, Duration::ZERO).unwrap(), None);
        assert_eq!(wait_any(&all, Duration::from_millis(5)).unwrap(), None);
        end(all[1].stdin.take());
        assert_eq!(wait_any(&all, None).unwrap(), Some(1));
        end(all[0].stdin.take());
        all[0].wait().unwrap();
        assert_eq!(
            wait_any(all.iter().map(Child::handle), Duration::from_secs(50)).unwrap(),
            Some(0)
        );
        assert_eq!(wait_any::<procession::Handle>([], None).unwrap(), None);
        end(all[2].stdin.take());
        assert!(join_all(all).into_iter().all(|value| value.unwrap() == 7));
    });
}

#[test]
fn children_are_listed_while_they_live() {
    alone_under_each_method(|method| {
        let ids = || {
            children()
                .iter()
                .map(procession::Handle::id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(), [0_u32; 0]);
        let (mut first, mut second, mut third) = (start(method), start(method), start(method));
        assert_eq!(ids(), [first.id(), second.id(), third.id()]);
        let id = second.id();
        let (second_stdin, third_stdin) = (second.stdin.take(), third.stdin.take());
        drop(second);
        third.detach();
        assert_eq!(ids(), [first.id(), id]);
        end(first.stdin.take());
        first.join().unwrap();
        end(second_stdin);
        end(third_stdin);
        eventually("the dropped child is gone", || ids().is_empty());
    });
}

#[test]
fn dropped_child_runs_on_and_is_reaped() {
    #[process]
    fn speak_when_asked() {
        let mut asked = String::new();
        std::io::stdin().read_to_string(&mut asked).unwrap();
        print!("{asked}");
    }
    alone_under_each_method(|method| {
        let before = (descriptors(), child_ids(), threads());
        let builder = || by(method).stdin(Stdio::piped()).stdout(Stdio::piped());
        for detach in [false, true] {
            if method == StartMethod::Fork && detach {
                // The thread that waits for what was dropped may still be there.
                eventually("no thread is left", || threads() == before.2);
            }
            let mut child = builder().spawn(speak_when_asked::new()).unwrap();
            let id = child.id();
            let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            if detach {
                child.detach();
            } else {
                drop(child);
            }
            stdin.write_all(b"still there").unwrap();
            drop(stdin);
            assert_eq!(read_to_end(&stdout), "still there");
            eventually("it is no zombie", || state(id).is_none());
        }
        eventually("nothing is left", || {
            (descriptors(), child_ids(), threads()) == before
        });
    });
}

#[test]
fn dropped_child_that_has_ended_is_reaped_at_once() {
    under_each_method(|method| {
        let mut child = start(method);
        end(child.stdin.take());
        let id = child.id();
        child.wait().unwrap();
        drop(child);
        assert_eq!(state(id), None);
    });
}

#[test]
fn descriptor_of_a_child_tells_of_its_end() {
    under_each_method(|method| {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut child = start(method);
        let stdin = child.stdin.take();
        let ready = |timeout: PollTimeout| {
            poll(
                &mut [PollFd::new(child.as_fd(), PollFlags::POLLIN)],
                timeout,
            )
            .unwrap()
                == 1
        };
        assert!(!ready(PollTimeout::ZERO));
        end(stdin);
        assert!(ready(PollTimeout::from(50_000_u16)));
        assert_eq!(child.join().unwrap(), 7);
    });
}

/// Whether the kernel keeps the status of a process that somebody has reaped, as Linux 6.15 does.
fn keeps_statuses() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let numbers = release.split(|char: char| !char.is_ascii_digit());
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
    numbers[..2] >= [6, 15][..]
}

#[process]
fn exits() {
    std::process::exit(3)
}

#[process]
fn ends_by_a_signal() {
    nix::sys::signal::raise(nix::sys::signal::SIGUSR1).unwrap();
}

#[process]
fn returns() -> u32 {
    3
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reaping {
    ByWaitpid,
    ByTheKernel,
}

/// Has somebody else reap a child.
fn reaped<P: procession::Process>(
    process: P,
    reaping: Reaping,
    method: StartMethod,
) -> Child<P::Output> {
    change::ends_ignored(reaping == Reaping::ByTheKernel);
    let child = by(method).spawn(process).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    // It returns when the child has ended, in either case.
    let waited = nix::sys::wait::waitpid(pid, None);
    assert_eq!(waited.is_ok(), reaping == Reaping::ByWaitpid);
    change::ends_ignored(false);
    child
}

#[test]
fn process_reaped_by_somebody_else_is_told() {
    alone_under_each_method(|method| {
        for reaping in [Reaping::ByWaitpid, Reaping::ByTheKernel] {
            let is_known =
                |found: Option<i32>, expected| found == keeps_statuses().then_some(expected);
            let error = reaped(exits::new(), reaping, method).join().unwrap_err();
            assert_eq!(error.kind(), JoinErrorKind::Exited);
            let status = error.status().and_then(|status| status.code());
            assert!(is_known(status, 3), "{status:?}: {reaping:?}, {method}");
            if !keeps_statuses() {
                let words = "ended without a value, and somebody else has reaped it";
                assert!(error.to_string().ends_with(words), "{error}");
            }

            let child = reaped(ends_by_a_signal::new(), reaping, method);
            let error = child.join().unwrap_err();
            let signal = error.signal();
            assert!(
                is_known(signal, libc::SIGUSR1),
                "{signal:?}: {reaping:?}, {method}"
            );

            // The value is there all the same.
            let child = reaped(returns::new(), reaping, method);
            let handle = child.handle();
            assert_eq!(child.join().unwrap(), 3);
            match handle.wait() {
                Ok(status) => assert!(keeps_statuses() && status.success()),
                Err(error) => {
                    assert!(!keeps_statuses());
                    assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
                }
            }
            // There is nobody to be signalled, and that is no error.
            handle.kill().unwrap();
        }
    });
}

/// Kills a process that has been reaped, and whose id is another's by now, where there are no
/// pidfds.
#[process]
fn kill_a_number() -> Option<bool> {
    refuse(libc::SYS_pidfd_open, libc::ENOSYS);
    let child = start(StartMethod::Spawn);
    let (id, handle) = (child.id(), child.handle());
    let pid = nix::unistd::Pid::from_raw(id.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
    nix::sys::wait::waitpid(pid, None).unwrap();
    fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()).ok()?;
    let mut other = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    if other.id() != id {
        let _ = other.kill();
        let _ = other.wait();
        return None;
    }
    handle.kill().unwrap();
    let answers = other.stdin.take().unwrap().write_all(b"!").is_ok()
        && other.stdout.take().unwrap().read(&mut [0]).unwrap() == 1;
    other.wait().unwrap();
    Some(answers)
}

#[process]
fn kill_a_number_in_a_namespace() -> Option<bool> {
    let user = nix::unistd::Uid::effective();
    // It takes a right that not every machine gives.
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID).ok()?;
    // Only as root of the namespace it may choose ids.
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).ok()?;
    run(StartMethod::Spawn, kill_a_number::new())
}

#[test]
fn handle_of_nobody_signals_nobody() {
    let apart = by(StartMethod::Spawn).timeout(DEADLINE);
    let child = apart.spawn(kill_a_number_in_a_namespace::new()).unwrap();
    match child.join().unwrap() {
        Some(lives) => assert!(lives, "another process was killed"),
        None => eprintln!("ids cannot be given out anew here: nothing is tested"),
    }
}

#[test]
fn many_starts_leave_nothing() {
    #[process]
    fn nothing() {}
    alone_under_each_method(|method| {
        let before = (descriptors(), child_ids(), threads());
        let spawn = || by(method).daemon(true).spawn(nothing::new()).unwrap();
        for _ in 0..50 {
            spawn().join().unwrap();
        }
        assert!(join_all((0..50).map(|_| spawn())).iter().all(Result::is_ok));
        if method == StartMethod::Fork {
            // Threads and forks do not go together.
            assert_eq!((descriptors(), child_ids(), threads()), before);
            return;
        }
        let threads_of_spawns: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn(move || {
                    join_all((0..5).map(|_| by(method).spawn(nothing::new()).unwrap())).len()
                })
            })
            .collect();
        assert!(
            threads_of_spawns
                .into_iter()
                .all(|thread| thread.join().unwrap() == 5)
        );
        assert_eq!((descriptors(), child_ids(), threads()), before);
    });
}
