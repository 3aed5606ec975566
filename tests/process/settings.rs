//! What a process is started with, by a builder.

use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::resource::{Resource, getrlimit},
    sys::signal::{SigSet, Signal},
    unistd::{Pid, getpgid, getpgrp},
};
use procession::{
    AuthKey, Builder, Child, ErrorKind, JoinErrorKind, StartMethod, Stdio, authkey, current,
    parent, process,
};
use procession_tests::{read_to_end, under_each_method};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

#[process]
fn environment() -> BTreeMap<String, String> {
    env::vars().collect()
}

#[test]
fn environment_is_the_parents_with_changes() {
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        let ours: BTreeMap<_, _> = env::vars().collect();
        // Nothing of ours is left in it either.
        assert_eq!(
            start().spawn(environment::new()).unwrap().join().unwrap(),
            ours
        );
        let changed = start()
            .env("PROCESSION_A", "1")
            .env("PROCESSION_B", "2")
            .env_remove("PROCESSION_A")
            .env_remove("PATH");
        let seen = changed.spawn(environment::new()).unwrap().join().unwrap();
        assert_eq!(seen.get("PROCESSION_B").map(String::as_str), Some("2"));
        assert!(!seen.contains_key("PROCESSION_A") && !seen.contains_key("PATH"));
        let cleared = start().env("LOST", "1").env_clear().env("KEPT", "2");
        let seen = cleared.spawn(environment::new()).unwrap().join().unwrap();
        assert_eq!(seen, BTreeMap::from([("KEPT".to_owned(), "2".to_owned())]));
    });
}

#[test]
fn current_dir_is_set() {
    #[process]
    fn place() -> PathBuf {
        env::current_dir().unwrap()
    }
    under_each_method(|method| {
        let child = Builder::new()
            .start_method(method)
            .current_dir("/proc")
            .spawn(place::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), PathBuf::from("/proc"));
        let child = Builder::new()
            .start_method(method)
            .spawn(place::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), env::current_dir().unwrap());
        // Its name need not be UTF-8.
        let id = std::process::id();
        let odd = [format!("procession-{id}-").as_bytes(), b"\xff"].concat();
        let odd = env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(OsStr::from_bytes(&odd));
        fs::create_dir(&odd).unwrap();
        let child = Builder::new()
            .start_method(method)
            .current_dir(&odd)
            .spawn(place::new());
        let seen = child.map(Child::join);
        fs::remove_dir(&odd).unwrap();
        assert_eq!(seen.unwrap().unwrap(), odd);
    });
}

#[test]
fn standard_streams_lead_where_they_are_told() {
    #[process]
    fn shout() -> String {
        let mut heard = String::new();
        std::io::stdin().read_to_string(&mut heard).unwrap();
        print!("{}", heard.to_uppercase());
        eprint!("{}", heard.len());
        heard
    }
    under_each_method(|method| {
        let builder = Builder::new().start_method(method).stdin(Stdio::piped());
        let mut child = builder
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn(shout::new())
            .unwrap();
        child.stdin.take().unwrap().write_all(b"hello").unwrap();
        assert_eq!(read_to_end(child.stdout.take().unwrap()), "HELLO");
        assert_eq!(read_to_end(child.stderr.take().unwrap()), "5");
        assert_eq!(child.join().unwrap(), "hello");

        // The end of the input comes by joining, or is there from the start.
        let child = Builder::new()
            .start_method(method)
            .stdin(Stdio::piped())
            .spawn(shout::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), "");
        let child = Builder::new()
            .start_method(method)
            .spawn(shout::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), "");

        let (reader, writer) = std::io::pipe().unwrap();
        let file = fs::File::open("/proc/sys/kernel/ostype").unwrap();
        let builder = Builder::new()
            .start_method(method)
            .stdin(file)
            .stdout(writer)
            .stderr(Stdio::null());
        let child = builder.spawn(shout::new()).unwrap();
        assert_eq!(read_to_end(reader), "LINUX\n");
        assert_eq!(child.join().unwrap(), "Linux\n");
    });
}

#[process]
fn introduce() -> (String, String, u32) {
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    (
        current().name().to_owned(),
        comm.trim().to_owned(),
        current().id(),
    )
}

#[test]
fn name_is_the_kernels_too() {
    under_each_method(|method| {
        let child = Builder::new()
            .start_method(method)
            .name("a rather long name")
            .spawn(introduce::new())
            .unwrap();
        assert_eq!(child.name(), "a rather long name");
        let id = child.id();
        assert_eq!(
            child.join().unwrap(),
            ("a rather long name".into(), "a rather long n".into(), id)
        );
    });
}

#[test]
fn names_count_per_function() {
    #[process]
    fn first() {}
    #[process]
    fn second() {}
    #[process]
    fn generic<T: procession::Transfer>(value: T) {
        drop(value);
    }
    let name = |child: Child<()>| {
        let name = child.name().to_owned();
        child.join().unwrap();
        name
    };
    assert_eq!(name(first::spawn().unwrap()), "first-1");
    assert_eq!(name(first::spawn().unwrap()), "first-2");
    assert_eq!(name(second::spawn().unwrap()), "second-1");
    assert_eq!(name(generic::spawn(1_u8).unwrap()), "generic-1");
    assert_eq!(name(generic::spawn('x').unwrap()), "generic-2");
}

#[test]
fn attribute_gives_defaults_that_a_builder_overrides() {
    #[process(
        name = "by attribute",
        daemon,
        start_method = "spawn",
        timeout = Duration::from_secs(40),
        open_files_limit = 77,
        nice = 3
    )]
    fn dressed() -> (String, bool, u64, i32) {
        let (files, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        (
            current().name().to_owned(),
            current().is_daemon(),
            files,
            nice(),
        )
    }
    let child = dressed::spawn().unwrap();
    assert_eq!(child.join().unwrap(), ("by attribute".into(), true, 77, 3));
    let builder = Builder::new()
        .name("by builder")
        .daemon(false)
        .open_files_limit(88)
        .nice(4);
    let child = builder
        .start_method(StartMethod::Spawn)
        .spawn(dressed::new())
        .unwrap();
    assert_eq!(child.join().unwrap(), ("by builder".into(), false, 88, 4));
}

pub(crate) fn nice() -> i32 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(16)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn limits_bind_the_child_and_nobody_else() {
    #[process]
    fn limits() -> [(u64, u64); 3] {
        [
            Resource::RLIMIT_AS,
            Resource::RLIMIT_CPU,
            Resource::RLIMIT_NOFILE,
        ]
        .map(|limit| getrlimit(limit).unwrap())
    }
    #[process]
    fn eat() -> usize {
        vec![1_u8; 4 << 30].len()
    }
    #[process]
    fn burn() {
        loop {
            std::hint::spin_loop();
        }
    }
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        let ours = limits();
        let builder = start()
            .memory_limit(3 << 30)
            .cpu_time_limit(Duration::from_millis(1500))
            .open_files_limit(50);
        let bound = builder.spawn(limits::new()).unwrap().join().unwrap();
        assert_eq!(bound, [(3 << 30, 3 << 30), (2, 3), (50, 50)]);
        assert_eq!(limits(), ours);
        let error = start()
            .memory_limit(1 << 30)
            .stderr(Stdio::null())
            .spawn(eat::new())
            .unwrap()
            .join()
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::OutOfMemory, Some(6))
        );
        let error = start()
            .cpu_time_limit(Duration::from_secs(1))
            .spawn(burn::new())
            .unwrap()
            .join()
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.signal()),
            (JoinErrorKind::CpuTimeExceeded, Some(Signal::SIGXCPU as i32))
        );
    });
}

#[test]
fn affinity_binds_to_cpus() {
    #[process]
    fn cpus() -> Vec<usize> {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
        (0..CpuSet::count())
            .filter(|cpu| set.is_set(*cpu).unwrap())
            .collect()
    }
    under_each_method(|method| {
        for cpu in cpus() {
            let child = Builder::new()
                .start_method(method)
                .affinity([cpu])
                .spawn(cpus::new())
                .unwrap();
            assert_eq!(child.join().unwrap(), [cpu]);
        }
    });
}

#[test]
fn signal_mask_is_that_of_the_starting_thread() {
    #[process]
    fn blocked() -> Vec<String> {
        let mask = SigSet::thread_get_mask().unwrap();
        Signal::iterator()
            .filter(|signal| mask.contains(*signal))
            .map(|signal| signal.to_string())
            .collect()
    }
    under_each_method(|method| {
        let child = Builder::new()
            .start_method(method)
            .spawn(blocked::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), blocked());
        let mask = SigSet::from_iter([Signal::SIGUSR1, Signal::SIGWINCH]);
        let before = mask
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .unwrap();
        let child = Builder::new()
            .start_method(method)
            .spawn(blocked::new())
            .unwrap();
        before.thread_set_mask().unwrap();
        assert_eq!(child.join().unwrap(), ["SIGUSR1", "SIGWINCH"]);
    });
}

#[test]
fn authkey_is_inherited_and_can_be_set() {
    #[process]
    fn key() -> Vec<u8> {
        authkey().unwrap().as_bytes().to_vec()
    }
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        let ours = authkey().unwrap();
        assert_eq!(ours.as_bytes().len(), 32);
        assert_eq!(
            start().spawn(key::new()).unwrap().join().unwrap(),
            ours.as_bytes()
        );
        let other = start()
            .authkey(AuthKey::new(*b"sekret"))
            .spawn(key::new())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(other, b"sekret");
        assert!(ours == authkey().unwrap() && ours != AuthKey::new(*b"sekret"));
    });
}

#[test]
fn authkey_is_nowhere_to_be_seen() {
    #[process]
    fn exposed() -> Vec<u8> {
        ["environ", "cmdline"]
            .map(|file| fs::read(format!("/proc/self/{file}")).unwrap())
            .concat()
    }
    let key = b"a key that would be found";
    let seen = Builder::new()
        .authkey(AuthKey::new(*key))
        .spawn(exposed::new())
        .unwrap()
        .join()
        .unwrap();
    assert!(!seen.windows(key.len()).any(|window| window == key));
    let shown = format!(
        "{:?} {:?}",
        AuthKey::new(*key),
        Builder::new().authkey(AuthKey::new(*key))
    );
    assert!(!shown.contains("found"), "{shown}");
}

#[test]
fn child_knows_its_parent() {
    #[process]
    fn family() -> (u32, String, bool, u32) {
        let parent = parent().unwrap();
        (
            parent.id(),
            parent.name().to_owned(),
            parent.is_alive(),
            std::os::unix::process::parent_id(),
        )
    }
    #[process]
    fn middle() -> (u32, String, bool, u32) {
        family::spawn().unwrap().join().unwrap()
    }
    under_each_method(|method| {
        let us = std::process::id();
        let child = Builder::new()
            .start_method(method)
            .spawn(family::new())
            .unwrap();
        let name = current().name().to_owned();
        assert_eq!(child.join().unwrap(), (us, name, true, us));
        let child = Builder::new()
            .start_method(method)
            .name("the middle")
            .spawn(middle::new())
            .unwrap();
        let id = child.id();
        assert_eq!(child.join().unwrap(), (id, "the middle".into(), true, id));
    });
}

#[test]
fn clone_of_a_builder_has_its_settings() {
    #[process]
    fn speak() -> Option<String> {
        println!("hello");
        env::var("PROCESSION_A").ok()
    }
    under_each_method(|method| {
        let (reader, writer) = std::io::pipe().unwrap();
        let builder = Builder::new()
            .name("speaker")
            .envs([("PROCESSION_A", "1"), ("PROCESSION_B", "2")])
            .start_method(method)
            .stdout(writer);
        let children = [builder.clone(), builder].map(|builder| {
            let child = builder.spawn(speak::new()).unwrap();
            assert_eq!(child.name(), "speaker");
            child
        });
        for child in children {
            assert_eq!(child.join().unwrap().as_deref(), Some("1"));
        }
        // Both write to the one pipe, which nobody holds any more.
        assert_eq!(read_to_end(reader), "hello\nhello\n");
    });
}

#[test]
fn process_group_is_a_new_one_or_that_of_another_process() {
    under_each_method(|method| {
        let builder = || Builder::new().start_method(method).kill_on_drop(true);
        let start = |builder: Builder| builder.spawn(sleeper::new()).unwrap();
        let pid = |id: u32| Pid::from_raw(id.try_into().unwrap());
        let leader = start(builder().process_group(0));
        let own = pid(leader.id());
        let member = start(builder().process_group(own.as_raw()));
        let other = start(builder());
        let group = |child: &Child<()>| getpgid(Some(pid(child.id()))).unwrap();
        assert_eq!((group(&leader), group(&member)), (own, own));
        assert_eq!(group(&other), getpgrp());
        let error = builder()
            .process_group(-1)
            .spawn(sleeper::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting);
        assert!(
            error.to_string().contains("the process group -1"),
            "{error}"
        );
    });
}

type Ids = ([u32; 3], [u32; 3], Vec<u32>);

/// The real, effective and saved ids of users and groups, and the other groups.
#[process]
fn ids() -> Ids {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let row = |name: &str| -> Vec<u32> {
        let row = status.lines().find_map(|line| line.strip_prefix(name));
        let numbers = row.unwrap().split_whitespace();
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let three = |name: &str| <[u32; 3]>::try_from(&row(name)[..3]).unwrap();
    (three("Uid:"), three("Gid:"), row("Groups:"))
}

#[test]
fn user_and_groups_are_given_up_for_good() {
    #[process]
    fn regain() -> (Ids, bool) {
        let root = nix::unistd::Uid::from_raw(0);
        (ids(), nix::unistd::setuid(root).is_ok())
    }
    under_each_method(|method| {
        let builder = || Builder::new().start_method(method);
        if !nix::unistd::geteuid().is_root() {
            let error = builder().uid(0).spawn(ids::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setting);
            assert!(
                error.to_string().contains("its user cannot be set to 0"),
                "{error}"
            );
            return;
        }
        let child = builder().uid(65534).gid(65533).groups([7, 8]);
        let child = child.spawn(regain::new()).unwrap();
        let expected = ([65534; 3], [65533; 3], vec![7, 8]);
        assert_eq!(child.join().unwrap(), (expected, false));
        // The groups of root would give more than the user is to have.
        let child = builder().uid(65534).spawn(ids::new()).unwrap();
        assert_eq!(child.join().unwrap(), ([65534; 3], [0; 3], vec![]));
        // A process of another user is still ours to end.
        let child = builder()
            .uid(65534)
            .daemon(true)
            .spawn(sleeper::new())
            .unwrap();
        child.kill().unwrap();
        assert_eq!(child.join().unwrap_err().kind(), JoinErrorKind::Killed);
    });
}

#[process]
fn sleeper() {
    procession_tests::forever()
}

#[test]
fn both_outputs_are_read_whatever_their_size() {
    #[process]
    fn flood() -> usize {
        let line = vec![b'x'; 1 << 16];
        for _ in 0..32 {
            std::io::stderr().write_all(&line).unwrap();
        }
        for _ in 0..16 {
            std::io::stdout().write_all(&line).unwrap();
        }
        line.len()
    }
    under_each_method(|method| {
        let builder = Builder::new().start_method(method).stderr(Stdio::piped());
        let mut child = builder
            .clone()
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn(flood::new())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && child.stdin.is_none());
        let lengths = (output.stdout.len(), output.stderr.len());
        assert_eq!(lengths, (16 << 16, 32 << 16));
        assert_eq!(child.join().unwrap(), 1 << 16);
        // A stream that is not piped is not there.
        let mut child = builder.stdout(Stdio::null()).spawn(flood::new()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (0, 32 << 16));
    });
}
