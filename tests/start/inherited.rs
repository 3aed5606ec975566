//! What a child of the helper has from the process that asked for it.

use crate::forkserver::{alone_within_deadline, helper, line, run, spares, spawn};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal},
        stat::{Mode, umask},
    },
    unistd::{Pid, Uid, getpgrp, setresuid, setsid},
};
use procession::{StartMethod, Stdio, prewarm, process};
use procession_tests::{by, change, eventually};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, env, fs, io::Read, path::PathBuf};

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

/// Changes everything after its helper was started, and then back; returns each time what it has
/// beside what its child has.
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

#[test]
fn streams_are_those_of_the_requester_at_the_time() {
    alone_within_deadline(|| {
        // The helper is there, with the streams of before.
        run(line::new());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let child = by(StartMethod::ForkServer)
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
