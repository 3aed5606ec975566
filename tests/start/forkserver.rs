//! The helper process: what its children have of whom, and what becomes of it.

use nix::{
    sys::{
        pthread::{Pthread, pthread_kill, pthread_self},
        signal::{SigSet, Signal, kill},
    },
    unistd::Pid,
};
use procession::{
    Builder, Child, Process, StartMethod, children, join_all, prewarm, process, stop_helper,
    wait_any,
};
use procession_tests::{
    DEADLINE, alone_within, by, child_ids, descriptors, eventually, forever, refuse, refuse_some,
    send_signal, state,
};
use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::parent_id,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Runs a test while no other of these starts or counts processes.
pub(crate) fn alone_within_deadline(test: impl FnOnce()) {
    alone_within(DEADLINE, || {
        // Where there are spares it is said.
        prewarm(0).unwrap();
        test();
    });
}

pub(crate) fn spawn<P: Process>(process: P) -> Child<P::Output> {
    let child = by(StartMethod::ForkServer).spawn(process).unwrap();
    assert_eq!(child.start_method(), StartMethod::ForkServer);
    child
}

pub(crate) fn run<P: Process>(process: P) -> P::Output {
    spawn(process).join().unwrap()
}

/// The children of this process that are none of its program's: the helper, or the spares.
fn kept(name: &str) -> Vec<u32> {
    let known: Vec<_> = children().iter().map(procession::Handle::id).collect();
    let ids = child_ids_as_they_are().into_iter();
    let is_kept = |id: &u32| {
        let called = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        called.trim() == name && !known.contains(id)
    };
    ids.filter(is_kept).collect()
}

pub(crate) fn helper() -> u32 {
    // A spare bears its name until it has one of its own.
    eventually("there is one", || kept("procession-fork").len() == 1);
    kept("procession-fork")[0]
}

pub(crate) fn spares() -> Vec<u32> {
    kept("procession-idle")
}

pub(crate) fn child_ids_as_they_are() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let ids = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    ids.flat_map(|ids| {
        ids.split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect::<Vec<_>>()
    })
    .collect()
}

#[process]
pub(crate) fn parents() -> (u32, u32) {
    (parent_id(), procession::parent().unwrap().id())
}

#[test]
fn child_is_that_of_its_requester() {
    alone_within_deadline(|| {
        let us = std::process::id();
        let child = spawn(hold::new());
        assert!(children().iter().any(|handle| handle.id() == child.id()));
        child.kill().unwrap();
        child.join().unwrap_err();
        assert_eq!(run(parents::new()), (us, us));
        // Not a second one for the second child.
        let first = helper();
        run(parents::new());
        assert_eq!(helper(), first);
    });
}

#[process]
fn use_threads() -> Vec<usize> {
    // The main thread is signalled from another, joins them, and uses locks that know their owner.
    let threads: Vec<_> = (0..8)
        .map(|index| thread::spawn(move || vec![index; 10_000].len()))
        .collect();
    let signals = SigSet::from(Signal::SIGUSR1);
    signals.thread_block().unwrap();
    // A number with one C library and a pointer with another.
    #[allow(clippy::cast_possible_truncation, reason = "either fits")]
    let this = pthread_self() as usize;
    thread::spawn(move || pthread_kill(this as Pthread, Signal::SIGUSR1).unwrap())
        .join()
        .unwrap();
    assert_eq!(signals.wait().unwrap(), Signal::SIGUSR1);
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

#[test]
fn child_is_whole() {
    alone_within_deadline(|| {
        assert_eq!(run(use_threads::new()), [10_000; 8]);
    });
}

#[process]
fn keys() -> String {
    use std::hash::BuildHasher;
    format!("{}", std::hash::RandomState::new().hash_one(1_u8))
}

#[test]
fn children_do_not_share_randomness() {
    alone_within_deadline(|| assert_ne!(run(keys::new()), run(keys::new())));
}

#[process]
pub(crate) fn line() {
    println!("one line");
}

#[test]
fn helper_holds_nothing_of_its_owner() {
    alone_within_deadline(|| {
        run(line::new());
        let helper = helper();
        assert_eq!(
            fs::read_link(format!("/proc/{helper}/cwd")).unwrap(),
            PathBuf::from("/")
        );
        let open = || {
            let fds = fs::read_dir(format!("/proc/{helper}/fd")).unwrap();
            // One may be closed meanwhile.
            let mut open: Vec<_> = fds
                .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
                .map(|path| path.display().to_string())
                .collect();
            open.sort();
            open
        };
        // While it forks a spare, it holds the socket of that one too.
        let seen = RefCell::new(Vec::new());
        eventually("the helper has forked its spares", || {
            seen.replace(open());
            seen.borrow().len() == 3 + 4
        });
        let open = seen.into_inner();
        let (null, others) = open.split_at(3);
        assert!(null.iter().all(|path| path == "/dev/null"), "{open:?}");
        // Its own threads, what tells of its owner's end, what ends it then, and where it is asked.
        let [threads, owner, lifeline, requests] = others else {
            panic!("{open:?}")
        };
        assert_eq!(*threads, format!("/proc/{helper}/task"));
        assert!(
            owner.contains("pidfd")
                && lifeline.starts_with("pipe:")
                && requests.starts_with("socket:"),
            "{open:?}"
        );
    });
}

#[test]
fn helper_is_no_child_and_can_be_stopped() {
    alone_within_deadline(|| {
        let before = (descriptors(), child_ids());
        let child = spawn(parents::new());
        let mut waiting = [child];
        assert_eq!(
            wait_any(&waiting, Some(Duration::from_secs(20))).unwrap(),
            Some(0)
        );
        let helper = helper();
        assert!(children().iter().all(|handle| handle.id() != helper));
        stop_helper();
        assert_eq!(state(helper), None);
        waiting[0].try_join().unwrap().unwrap();
        drop(waiting);
        assert_eq!((descriptors(), child_ids()), before);
        // Nothing is there to be stopped, and another one begins.
        stop_helper();
        run(line::new());
    });
}

#[test]
fn dead_helper_is_replaced() {
    alone_within_deadline(|| {
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            let child = spawn(hold::new());
            let old = helper();
            send_signal(old, signal);
            if signal == Signal::SIGSTOP {
                // Only slow: what was asked is done when it goes on.
                let waker = thread::spawn(move || {
                    eventually("it is stopped", || state(old) == Some('T'));
                    thread::yield_now();
                    send_signal(old, Signal::SIGCONT);
                });
                assert_eq!(run(parents::new()).0, std::process::id());
                waker.join().unwrap();
            } else {
                assert_eq!(run(parents::new()).0, std::process::id());
                assert_ne!(helper(), old);
                assert_eq!(state(old), None, "it was reaped");
            }
            // Children survive it.
            assert!(child.is_alive());
            child.kill().unwrap();
            child.join().unwrap_err();
        }
    });
}

#[process]
fn hold() {
    forever()
}

#[test]
fn stopped_helper_and_spare_are_replaced() {
    alone_within_deadline(|| {
        let begun = Instant::now();
        run(parents::new());
        let stopped = helper();
        send_signal(stopped, Signal::SIGSTOP);
        eventually("it is stopped", || state(stopped) == Some('T'));
        assert_eq!(run(parents::new()).0, std::process::id());
        assert_ne!(helper(), stopped);
        assert_eq!(state(stopped), None, "it was reaped");

        prewarm(1).unwrap();
        eventually("a spare is there", || spares().len() == 1);
        let stopped = spares()[0];
        send_signal(stopped, Signal::SIGSTOP);
        eventually("it is stopped", || state(stopped) == Some('T'));
        // With arguments that the socket has no room for, too.
        let bulk = vec![7; 10 << 20];
        assert_eq!(run(sum::new(&bulk)), 70 << 20);
        assert_eq!(state(stopped), None, "it was reaped");
        // A wait without a bound would be ended by the deadline only.
        assert!(begun.elapsed() < DEADLINE / 2, "{:?}", begun.elapsed());
    });
}

#[process]
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// Whether children start while somebody kills the helper all the time.
#[process]
fn stormy() -> Result<(), String> {
    let (strike, struck) = mpsc::channel();
    // With the sender, whose end is that of the other thread.
    thread::scope(move |scope| {
        scope.spawn(move || {
            while struck.recv().is_ok() {
                for id in kept("procession-fork") {
                    let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
                }
            }
        });
        (0..100).try_for_each(|_| {
            // At the same time as the start, and so now before and now in the middle of it.
            strike.send(()).map_err(|error| error.to_string())?;
            match by(StartMethod::ForkServer).spawn(parents::new()) {
                Ok(child) => match child.join() {
                    Ok(_) => Ok(()),
                    Err(error) if error.signal() == Some(9) => Ok(()),
                    Err(error) => Err(error.to_string()),
                },
                // A child on its way has the name of the helper, and may be struck for it, then or
                // a moment later.
                Err(error) if error.kind() == procession::ErrorKind::EndedEarly => Ok(()),
                Err(error) => Err(format!("{error:?}")),
            }
        })
    })?;
    stop_helper();
    match child_ids() {
        ids if ids.is_empty() => Ok(()),
        ids => Err(format!("left: {ids:?}")),
    }
}

#[test]
fn start_during_the_death_of_the_helper_succeeds_or_says_why() {
    alone_within_deadline(|| assert_eq!(run(stormy::new()), Ok(())));
}

/// Ends when it is killed, after it has told of its helper and a daemon.
#[process]
fn owner(mut tell: std::io::PipeWriter) {
    let _daemon = Builder::new()
        .daemon(true)
        .start_method(StartMethod::ForkServer)
        .spawn(hold::new())
        .unwrap();
    prewarm(2).unwrap();
    eventually("spares are there", || spares().len() == 2);
    let ids: Vec<_> = spares().iter().map(u32::to_string).collect();
    writeln!(tell, "{} {}", helper(), ids.join(" ")).unwrap();
    drop(tell);
    forever()
}

#[test]
fn helper_and_spares_end_with_their_owner() {
    alone_within_deadline(|| [false, true].into_iter().for_each(end_of_an_owner));
}

/// Kills an owner, and sees that nothing of it is left, whether that was stopped before or not.
fn end_of_an_owner(stopped: bool) {
    {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = spawn(owner::new(writer));
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        let ids = line.split_whitespace().map(|id| id.parse().unwrap());
        let ids: Vec<u32> = ids.collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| state(*id).is_some()));
        if stopped {
            for id in &ids {
                send_signal(*id, Signal::SIGSTOP);
            }
            let is_stopped = |id: &u32| state(*id) == Some('T');
            eventually("they are stopped", || ids.iter().all(is_stopped));
        }
        child.kill().unwrap();
        child.join().unwrap_err();
        let is_gone = |id: &u32| matches!(state(*id), None | Some('Z'));
        eventually("they are gone", || ids.iter().all(is_gone));
    }
}

#[process]
fn nest(depth: u32) -> u32 {
    if depth == 0 {
        0
    } else {
        1 + run(nest::new(depth - 1))
    }
}

#[test]
fn children_have_helpers_of_their_own() {
    alone_within_deadline(|| assert_eq!(run(nest::new(4)), 4));
}

/// What a filter keeps the helper from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Refused {
    NewClone,
    CloneOfSiblings,
    AddressOfTheThreadId,
    ThreadId,
}

/// Refuses a system call with this flag or number as its first argument.
fn refuse_argument(call: i64, operator: SeccompCmpOp, value: u64, errno: i32) {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, value).unwrap();
    let rule = SeccompRule::new(vec![condition]).unwrap();
    refuse_some(call, vec![rule], errno);
}

/// Starts a child by way of a helper that may not do everything.
#[process]
fn filtered(refused: Vec<Refused>, late: bool) -> (StartMethod, u32) {
    use nix::libc;
    if late {
        // With a helper that may do everything, which has to go.
        run(parents::new());
    }
    for refused in refused {
        match refused {
            Refused::NewClone => refuse(libc::SYS_clone3, libc::ENOSYS),
            Refused::CloneOfSiblings => {
                let parent = u64::from(libc::CLONE_PARENT.cast_unsigned());
                let has_it = SeccompCmpOp::MaskedEq(parent);
                refuse_argument(libc::SYS_clone, has_it, parent, libc::EPERM);
            }
            Refused::AddressOfTheThreadId => {
                let address = u64::from(libc::PR_GET_TID_ADDRESS.cast_unsigned());
                refuse_argument(libc::SYS_prctl, SeccompCmpOp::Eq, address, libc::EINVAL);
            }
            Refused::ThreadId => refuse(libc::SYS_gettid, libc::ENOSYS),
        }
    }
    let child = by(StartMethod::ForkServer).spawn(parents::new()).unwrap();
    let method = child.start_method();
    let (parent, _) = child.join().unwrap();
    assert_eq!(parent, std::process::id());
    (method, parent)
}

#[test]
fn filters_are_got_round() {
    use Refused::{AddressOfTheThreadId, CloneOfSiblings, NewClone, ThreadId};
    use StartMethod::{ForkServer, Spawn};
    alone_within_deadline(|| {
        for late in [false, true] {
            for (refused, method) in [
                (vec![NewClone], ForkServer),
                (vec![NewClone, CloneOfSiblings], Spawn),
                (vec![AddressOfTheThreadId], ForkServer),
                // musl knows it by itself.
                (
                    vec![AddressOfTheThreadId, ThreadId],
                    if cfg!(target_env = "musl") {
                        ForkServer
                    } else {
                        Spawn
                    },
                ),
            ] {
                let got = run(filtered::new(refused.clone(), late));
                assert_eq!(got.0, method, "without {refused:?}");
            }
        }
    });
}

/// Works on memory and a lock while others start processes: a fork of this process would copy
/// either in mid-use.
#[test]
fn many_threads_start_while_another_allocates() {
    alone_within_deadline(|| {
        let before = (descriptors(), child_ids());
        let (done, shared) = (AtomicBool::new(false), Mutex::new(HashMap::new()));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0_usize;
                while !done.load(Ordering::Relaxed) {
                    round += 1;
                    shared
                        .lock()
                        .unwrap()
                        .insert(round % 64, vec![0_u8; round % 100_000]);
                }
            });
            let starters: Vec<_> = (0..64)
                .map(|_| scope.spawn(|| join_all((0..8).map(|_| spawn(parents::new())))))
                .collect();
            for starter in starters {
                for parents in starter.join().unwrap() {
                    assert_eq!(parents.unwrap().0, std::process::id());
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!((descriptors(), child_ids()), before);
    });
}
