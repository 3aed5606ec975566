//! The helper process: what its children have of whom, and what becomes of it.

#![allow(missing_docs, reason = "a test")]

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl,
        pthread::{Pthread, pthread_kill, pthread_self},
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal, kill},
        stat::{Mode, umask},
    },
    unistd::{Pid, Uid, getpgrp, setresuid, setsid},
};
use procession::{
    Builder, Child, Process, StartMethod, Stdio, children, join_all, prewarm, process, stop_helper,
    wait_any,
};
use procession_tests::{
    DEADLINE, alone, change, child_ids, descriptors, eventually, state, within,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    io::{BufRead, BufReader, Read, Write},
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
fn alone_within_deadline(test: impl FnOnce()) {
    let _alone = alone();
    within(DEADLINE, || {
        // Where there are spares it is said.
        prewarm(0).unwrap();
        test();
    });
}

fn spawn<P: Process>(process: P) -> Child<P::Output> {
    let builder = Builder::new().start_method(StartMethod::ForkServer);
    let child = builder.spawn(process).unwrap();
    assert_eq!(child.start_method(), StartMethod::ForkServer);
    child
}

fn run<P: Process>(process: P) -> P::Output {
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

fn helper() -> u32 {
    // A spare bears its name until it has one of its own.
    eventually("there is one", || kept("procession-fork").len() == 1);
    kept("procession-fork")[0]
}

fn spares() -> Vec<u32> {
    kept("procession-idle")
}

fn child_ids_as_they_are() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let ids = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    ids.flat_map(|ids| {
        ids.split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect::<Vec<_>>()
    })
    .collect()
}

fn number(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

#[process]
fn parents() -> (u32, u32) {
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

/// Everything that a process has from the one that starts it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inherited {
    environment: BTreeMap<String, String>,
    directory: PathBuf,
    umask: u32,
    blocked: bool,
    ignored: bool,
    files: (u64, u64),
    core: (u64, u64),
    nice: String,
    cpus: Vec<usize>,
    output: PathBuf,
}

impl Inherited {
    fn now() -> Self {
        let before = umask(Mode::empty());
        umask(before);
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
        Self {
            environment: env::vars().collect(),
            directory: env::current_dir().unwrap(),
            umask: before.bits(),
            blocked: SigSet::thread_get_mask().unwrap().contains(Signal::SIGUSR2),
            ignored: ignored & (1 << (Signal::SIGHUP as i32 - 1)) != 0,
            files: getrlimit(Resource::RLIMIT_NOFILE).unwrap(),
            core: getrlimit(Resource::RLIMIT_CORE).unwrap(),
            nice: stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .nth(16)
                .unwrap()
                .to_owned(),
            cpus: (0..CpuSet::count())
                .filter(|cpu| set.is_set(*cpu).unwrap())
                .collect(),
            output: fs::read_link("/proc/self/fd/1").unwrap(),
        }
    }
}

#[process]
fn inherited() -> Inherited {
    Inherited::now()
}

/// Changes everything after its helper was started, and then back; returns each time what it has beside what its child has.
#[process]
fn changeling(kept: usize) -> Vec<(Inherited, Inherited)> {
    let pair = || {
        prewarm(kept).unwrap();
        eventually("spares are there", || spares().len() == kept);
        let ready = spares();
        let child = spawn(inherited::new());
        assert!(ready.is_empty() || ready.contains(&child.id()));
        (Inherited::now(), child.join().unwrap())
    };
    let mut pairs = vec![pair()];
    let (directory, cpus) = (
        env::current_dir().unwrap(),
        sched_getaffinity(Pid::from_raw(0)).unwrap(),
    );
    let first = helper();

    change::variable("PROCESSION_NEW", "with = and\nlines");
    env::set_current_dir("/tmp").unwrap();
    umask(Mode::from_bits_truncate(0o137));
    SigSet::from(Signal::SIGUSR2).thread_block().unwrap();
    change::hangups_ignored(true);
    setrlimit(Resource::RLIMIT_NOFILE, 200, 300).unwrap();
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap();
    change::nice(7);
    let mut one = CpuSet::new();
    one.set(Inherited::now().cpus[0]).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    pairs.push(pair());

    change::variable("PROCESSION_NEW", "");
    env::set_current_dir(directory).unwrap();
    umask(Mode::from_bits_truncate(0o22));
    SigSet::from(Signal::SIGUSR2).thread_unblock().unwrap();
    change::hangups_ignored(false);
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
    pairs.push(pair());
    assert_eq!(helper(), first, "none of this takes another helper");
    pairs
}

#[test]
fn child_has_what_its_requester_has_now() {
    alone_within_deadline(|| {
        // Made for it, or made before and kept.
        let (pairs, spared) = (run(changeling::new(0)), run(changeling::new(2)));
        for (requester, child) in pairs.iter().chain(&spared) {
            assert_eq!(requester, child);
        }
        // It was a change, and a change back.
        assert_eq!(
            pairs[1].1.environment["PROCESSION_NEW"],
            "with = and\nlines"
        );
        assert_eq!(
            (
                pairs[1].1.umask,
                pairs[1].1.nice.as_str(),
                pairs[1].1.cpus.len()
            ),
            (0o137, "7", 1)
        );
        assert_ne!(pairs[1].1.ignored, pairs[2].1.ignored);
    });
}

#[process]
fn line() {
    println!("one line");
}

#[test]
fn streams_are_those_of_the_requester_at_the_time() {
    alone_within_deadline(|| {
        // The helper is there, with the streams of before.
        run(line::new());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let builder = Builder::new().start_method(StartMethod::ForkServer);
        let child = builder
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn(line::new())
            .unwrap();
        child.join().unwrap();
        let mut said = String::new();
        // It ends here: the helper has no copy of the pipe.
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "one line\n");
    });
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
        let fds = fs::read_dir(format!("/proc/{helper}/fd")).unwrap();
        let mut open: Vec<_> = fds
            .map(|fd| fs::read_link(fd.unwrap().path()).unwrap())
            .map(|path| path.display().to_string())
            .collect();
        open.sort();
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
            kill(number(old), signal).unwrap();
            if signal == Signal::SIGSTOP {
                // Only slow: what was asked is done when it goes on.
                let waker = thread::spawn(move || {
                    eventually("it is stopped", || state(old) == Some('T'));
                    thread::yield_now();
                    kill(number(old), Signal::SIGCONT).unwrap();
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
    loop {
        thread::park();
    }
}

#[test]
fn stopped_helper_and_spare_are_replaced() {
    alone_within_deadline(|| {
        let begun = Instant::now();
        run(parents::new());
        let stopped = helper();
        kill(number(stopped), Signal::SIGSTOP).unwrap();
        eventually("it is stopped", || state(stopped) == Some('T'));
        assert_eq!(run(parents::new()).0, std::process::id());
        assert_ne!(helper(), stopped);
        assert_eq!(state(stopped), None, "it was reaped");

        prewarm(1).unwrap();
        eventually("a spare is there", || spares().len() == 1);
        let stopped = spares()[0];
        kill(number(stopped), Signal::SIGSTOP).unwrap();
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
                    let _ = kill(number(id), Signal::SIGKILL);
                }
            }
        });
        (0..100).try_for_each(|_| {
            // At the same time as the start, and so now before and now in the middle of it.
            strike.send(()).map_err(|error| error.to_string())?;
            let builder = Builder::new().start_method(StartMethod::ForkServer);
            match builder.spawn(parents::new()) {
                Ok(child) => match child.join() {
                    Ok(_) => Ok(()),
                    Err(error) if error.signal() == Some(9) => Ok(()),
                    Err(error) => Err(error.to_string()),
                },
                // A child on its way has the name of the helper, and may be struck for it, then or a moment later.
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
    loop {
        thread::park();
    }
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
                kill(number(*id), Signal::SIGSTOP).unwrap();
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
fn standing() -> (u32, u32, bool, i32) {
    let session = nix::unistd::getsid(None).unwrap();
    (
        Uid::current().as_raw(),
        Uid::effective().as_raw(),
        prctl::get_no_new_privs().unwrap(),
        session.as_raw(),
    )
}

/// Gives up what it may do, step by step, and returns what its children have after each.
#[process]
fn humbled() -> Result<(), String> {
    let check = |what: &str| {
        let (ours, theirs) = (standing(), run(standing::new()));
        if ours == theirs {
            Ok(())
        } else {
            Err(format!("{what}: {ours:?} {theirs:?}"))
        }
    };
    check("at first")?;
    let first = helper();
    if getpgrp() != Pid::this() {
        setsid().map_err(|error| error.to_string())?;
        check("session")?;
    }
    prctl::set_no_new_privs().unwrap();
    check("no new privileges")?;
    let second = helper();
    if second == first {
        return Err("the helper was not replaced".into());
    }
    if Uid::current().is_root() {
        let nobody = Uid::from_raw(65534);
        setresuid(nobody, nobody, nobody).unwrap();
        check("user")?;
        if helper() == second {
            return Err("the helper has more rights than its owner".into());
        }
    }
    Ok(())
}

#[test]
fn helper_has_no_more_rights_than_its_owner() {
    alone_within_deadline(|| assert_eq!(run(humbled::new()), Ok(())));
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

/// Refuses some system calls to this process and those that come from it.
fn refuse(calls: &[(i64, Vec<SeccompRule>)], errno: i32) {
    let rules = calls.iter().cloned().collect::<BTreeMap<_, _>>();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.cast_unsigned()),
        TargetArch::try_from(env::consts::ARCH).unwrap(),
    );
    let program = BpfProgram::try_from(filter.unwrap()).unwrap();
    seccompiler::apply_filter(&program).unwrap();
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
    refuse(&[(call, vec![rule])], errno);
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
            Refused::NewClone => refuse(&[(libc::SYS_clone3, Vec::new())], libc::ENOSYS),
            Refused::CloneOfSiblings => {
                let parent = u64::from(libc::CLONE_PARENT.cast_unsigned());
                let has_it = SeccompCmpOp::MaskedEq(parent);
                refuse_argument(libc::SYS_clone, has_it, parent, libc::EPERM);
            }
            Refused::AddressOfTheThreadId => {
                let address = u64::from(libc::PR_GET_TID_ADDRESS.cast_unsigned());
                refuse_argument(libc::SYS_prctl, SeccompCmpOp::Eq, address, libc::EINVAL);
            }
            Refused::ThreadId => refuse(&[(libc::SYS_gettid, Vec::new())], libc::ENOSYS),
        }
    }
    let builder = Builder::new().start_method(StartMethod::ForkServer);
    let child = builder.spawn(parents::new()).unwrap();
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

/// Works on memory and a lock while others start processes: a fork of this process would copy either in mid-use.
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

#[test]
fn spares_are_kept_as_many_as_wanted() {
    alone_within_deadline(|| {
        let before = (descriptors(), child_ids());
        prewarm(3).unwrap();
        eventually("three are ready", || spares().len() == 3);
        let ready = spares();
        assert!(children().is_empty(), "{:?}", children());
        let child = spawn(parents::new());
        assert!(ready.contains(&child.id()));
        assert_eq!(child.join().unwrap().0, std::process::id());
        // It was replaced by the time it was at work.
        eventually("three are ready again", || spares().len() == 3);
        prewarm(1).unwrap();
        assert_eq!(spares().len(), 1);
        prewarm(0).unwrap();
        assert_eq!(spares().len(), 0);
        assert_eq!((descriptors(), child_ids()), before);
    });
}

/// Starts processes, and sees that a spare is kept once that is a habit.
#[process]
fn habit() {
    for kept in [0, 0, 1, 1] {
        run(parents::new());
        eventually("what was asked for is there", || spares().len() == kept);
        assert_eq!(child_ids_as_they_are().len(), 1 + kept);
    }
}

#[test]
fn spare_is_kept_from_the_third_start_on() {
    alone_within_deadline(|| run(habit::new()));
}

/// Waits until its spare has waited long enough, and starts another child then.
#[process]
fn patient() -> bool {
    prewarm(1).unwrap();
    eventually("it is there", || spares().len() == 1);
    let spare = spares()[0];
    eventually("it has ended", || state(spare) == Some('Z'));
    let child = spawn(parents::new());
    let fresh = child.id() != spare && state(spare).is_none();
    child.join().unwrap();
    eventually("there is another", || spares().len() == 1);
    fresh
}

#[test]
fn spare_that_nobody_wants_ends() {
    alone_within_deadline(|| assert!(run(patient::new())));
}

#[test]
fn dead_spare_is_passed_over() {
    alone_within_deadline(|| {
        prewarm(1).unwrap();
        eventually("it is there", || spares().len() == 1);
        let spare = spares()[0];
        kill(number(spare), Signal::SIGKILL).unwrap();
        eventually("it is dead", || state(spare) == Some('Z'));
        let child = spawn(parents::new());
        assert_ne!(child.id(), spare);
        child.join().unwrap();
        prewarm(0).unwrap();
        assert_eq!(state(spare), None);
    });
}
