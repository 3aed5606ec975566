//! What a process is started with, by its attribute and by a builder.

use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::{
        prctl::get_child_subreaper,
        resource::{Resource, getrlimit},
        signal::{SigSet, Signal},
    },
    unistd::Pid,
};
use procession::{
    AuthKey, Builder, JoinErrorKind, Setting, StartMethod, Stdio, authkey, current, parent, process,
};
use procession_tests::{read_to_end, under_each_method};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};
use syn::{
    Expr, Ident, Item, Lit, LitStr, Token, braced, parenthesized,
    parse::{Parse, ParseStream, Parser},
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
        let seen = child.map(procession::Child::join);
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
    let name = |child: procession::Child<()>| {
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

fn nice() -> i32 {
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

fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap())
        .collect()
}

/// What a process can see of its settings, by their names.
type Portrait = BTreeMap<String, String>;

/// The settings that a process does not see. Tests of their own take them back.
const UNSEEN: [Setting; 3] = [Setting::Timeout, Setting::KillOnDrop, Setting::Backtrace];

fn portrait() -> Portrait {
    let stream = |number: u8| format!("{:?}", fs::read_link(format!("/proc/self/fd/{number}")));
    let limit = |resource| format!("{:?}", getrlimit(resource).unwrap());
    let name = current().name();
    let is_default = name.starts_with("plain-") || name.starts_with("dressed-");
    let seen = [
        (
            Setting::Name,
            if is_default { "default" } else { name }.to_owned(),
        ),
        (Setting::Daemon, current().is_daemon().to_string()),
        (
            Setting::StartMethod,
            format!("{:?}", current().start_method()),
        ),
        (
            Setting::Authkey,
            format!("{:?}", authkey().unwrap().as_bytes()),
        ),
        (
            Setting::Env,
            format!("{:?}", env::vars_os().collect::<BTreeMap<_, _>>()),
        ),
        (Setting::CurrentDir, format!("{:?}", env::current_dir())),
        (Setting::Stdin, stream(0)),
        (Setting::Stdout, stream(1)),
        (Setting::Stderr, stream(2)),
        (Setting::MemoryLimit, limit(Resource::RLIMIT_AS)),
        (Setting::CpuTimeLimit, limit(Resource::RLIMIT_CPU)),
        (Setting::OpenFilesLimit, limit(Resource::RLIMIT_NOFILE)),
        (Setting::Nice, nice().to_string()),
        (Setting::Affinity, format!("{:?}", cpus())),
        (
            Setting::Subreaper,
            get_child_subreaper().unwrap().to_string(),
        ),
    ];
    seen.map(|(setting, seen)| (format!("{setting:?}"), seen))
        .into()
}

#[process]
fn plain() -> Portrait {
    portrait()
}

const NAME: &str = "dressed by its attribute";
const IS_DAEMON: bool = cfg!(target_os = "linux");
const VARIABLE: &str = "PROCESSION_TOO";

fn zero() -> fs::File {
    let mut options = fs::File::options();
    options.read(true).write(true).open("/dev/zero").unwrap()
}

/// Has all arguments. Their values are expressions, where they may be.
#[process(
    name = NAME,
    daemon = IS_DAEMON,
    start_method = StartMethod::Spawn,
    timeout = Duration::from_secs(60) + Duration::from_secs(60),
    env("PROCESSION_DRESSED" = "1", VARIABLE = format!("{}", 1 + 1)),
    env_remove("PATH"),
    env_clear,
    stdin = zero(),
    stdout = zero(),
    stderr = zero(),
    kill_on_drop = IS_DAEMON,
    backtrace = !IS_DAEMON,
    subreaper,
    current_dir = Path::new("/").join("proc"),
    memory_limit = 1 << 40,
    cpu_time_limit = Duration::from_secs(1000),
    open_files_limit = 70 + 7,
    nice = 19,
    affinity = [cpus()[0]],
)]
fn dressed() -> Portrait {
    portrait()
}

#[test]
fn attribute_sets_what_a_builder_sets() {
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        let by_attribute = start().spawn(dressed::new()).unwrap();
        let by_builder = start()
            .name(NAME)
            .daemon(true)
            .timeout(Duration::from_secs(120))
            .env_clear()
            .env("PROCESSION_DRESSED", "1")
            .env("PROCESSION_TOO", "2")
            .stdin(zero())
            .stdout(zero())
            .stderr(zero())
            .kill_on_drop(true)
            .backtrace(false)
            .subreaper(true)
            .current_dir("/proc")
            .memory_limit(1 << 40)
            .cpu_time_limit(Duration::from_secs(1000))
            .open_files_limit(77)
            .nice(19)
            .affinity([cpus()[0]]);
        let plain = start().spawn(plain::new()).unwrap().join().unwrap();
        let seen = by_attribute.join().unwrap();
        // Each argument changes what the process sees. So the test fails if one has no effect.
        for (setting, value) in &seen {
            let is_same = match setting.as_str() {
                "StartMethod" | "Authkey" => true,
                "Affinity" => cpus().len() == 1,
                "Nice" => nice() == 19,
                _ => false,
            };
            assert_eq!(plain[setting] == *value, is_same, "{setting}: {value}");
        }
        assert_eq!(
            by_builder.spawn(plain::new()).unwrap().join().unwrap(),
            seen
        );
    });
}

#[test]
fn start_method_may_be_an_argument() {
    #[process(start_method = "spawn")]
    fn by_name() {}
    assert_eq!(by_name::spawn().unwrap().start_method(), StartMethod::Spawn);
    let child = dressed::spawn().unwrap();
    assert_eq!(child.start_method(), StartMethod::Spawn);
    child.join().unwrap();
}

#[test]
fn every_setting_can_be_taken_back() {
    let names = |settings: &[Setting]| -> BTreeSet<String> {
        settings
            .iter()
            .map(|setting| format!("{setting:?}"))
            .collect()
    };
    let seen: BTreeSet<_> = portrait().into_keys().collect();
    assert_eq!(&seen | &names(&UNSEEN), names(Setting::ALL));

    under_each_method(|method| {
        let run = |builder: Builder| builder.spawn(dressed::new()).unwrap().join().unwrap();
        // What the attribute sets is taken back, and what the builder has set before.
        let start = || {
            Builder::new()
                .start_method(method)
                .authkey(AuthKey::new(*b"sekret"))
        };
        let by_default = plain::spawn().unwrap().join().unwrap();
        let bare = Builder::new()
            .start_method(method)
            .spawn(plain::new())
            .unwrap()
            .join()
            .unwrap();
        let dressed = run(start());
        for setting in Setting::ALL {
            let name = format!("{setting:?}");
            for (seen, value) in run(start().reset(*setting)) {
                let expected = match setting {
                    _ if seen != name => &dressed,
                    Setting::StartMethod => &by_default,
                    _ => &bare,
                };
                assert_eq!(expected[&seen], value, "{seen} after a reset of {name}");
            }
        }
        let all = Setting::ALL
            .iter()
            .filter(|setting| **setting != Setting::StartMethod);
        assert_eq!(
            run(all.fold(start(), |builder, setting| builder.reset(*setting))),
            bare
        );
    });
}

#[test]
fn setting_that_was_taken_back_can_be_set_again() {
    let seen = Builder::new()
        .reset(Setting::OpenFilesLimit)
        .open_files_limit(88)
        .reset(Setting::Env)
        .env("PROCESSION_AGAIN", "1")
        .spawn(dressed::new())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(seen["OpenFilesLimit"], "(88, 88)");
    let mut ours: BTreeMap<_, _> = env::vars_os().collect();
    ours.insert("PROCESSION_AGAIN".into(), "1".into());
    assert_eq!(seen["Env"], format!("{ours:?}"));
}

#[test]
fn builder_says_no_to_what_an_attribute_switches_on() {
    under_each_method(|method| {
        let builder = Builder::new()
            .start_method(method)
            .daemon(false)
            .subreaper(false);
        let seen = builder.spawn(dressed::new()).unwrap().join().unwrap();
        assert_eq!((&*seen["Daemon"], &*seen["Subreaper"]), ("false", "false"));
    });
}

#[test]
fn environment_of_an_attribute_comes_first() {
    #[process(env("PROCESSION_A" = "1", "PROCESSION_B" = "2"), env_remove("PATH", VARIABLE))]
    fn changed() -> BTreeMap<String, String> {
        env::vars().collect()
    }
    #[process(env("PROCESSION_A" = "1"), env_clear)]
    fn cleared() -> BTreeMap<String, String> {
        env::vars().collect()
    }
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    };
    let mut ours: BTreeMap<_, _> = env::vars().collect();
    let run = |builder: Builder| builder.spawn(changed::new()).unwrap().join().unwrap();
    assert_eq!(run(Builder::new().reset(Setting::Env)), ours);
    ours.remove("PATH");
    ours.extend(map(&[("PROCESSION_A", "1"), ("PROCESSION_B", "2")]));
    assert_eq!(run(Builder::new()), ours);
    ours.extend(map(&[("PROCESSION_B", "3"), ("PATH", "/")]));
    assert_eq!(
        run(Builder::new().env("PROCESSION_B", "3").env("PATH", "/")),
        ours
    );
    let builder = Builder::new().env_clear().env("PROCESSION_C", "4");
    assert_eq!(run(builder), map(&[("PROCESSION_C", "4")]));
    let run = |builder: Builder| builder.spawn(cleared::new()).unwrap().join().unwrap();
    assert_eq!(run(Builder::new()), map(&[("PROCESSION_A", "1")]));
    assert_eq!(
        run(Builder::new().env("PROCESSION_B", "2")),
        map(&[("PROCESSION_A", "1"), ("PROCESSION_B", "2")])
    );
}

#[test]
fn streams_of_an_attribute_may_be_pipes() {
    #[process(stdin = Stdio::piped(), stdout = Stdio::piped(), stderr = Stdio::piped())]
    fn piped() {
        let mut heard = String::new();
        std::io::stdin().read_to_string(&mut heard).unwrap();
        print!("{heard}");
    }
    under_each_method(|method| {
        // Each spawn has pipes of its own.
        for word in ["one", "two"] {
            let mut child = Builder::new()
                .start_method(method)
                .spawn(piped::new())
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(word.as_bytes())
                .unwrap();
            assert_eq!(read_to_end(child.stdout.take().unwrap()), word);
            assert!(child.stderr.is_some());
            child.join().unwrap();
        }
        let builder = Builder::new().start_method(method).reset(Setting::Stdin);
        let mut child = builder.reset(Setting::Stderr).spawn(piped::new()).unwrap();
        assert!(child.stdin.is_none() && child.stderr.is_none());
        assert_eq!(read_to_end(child.stdout.take().unwrap()), "");
        child.join().unwrap();
    });
}

#[test]
fn timeout_of_an_attribute_can_be_taken_back() {
    #[process(timeout = Duration::ZERO)]
    fn late() -> u8 {
        5
    }
    let error = late::spawn().unwrap().join().unwrap_err();
    assert_eq!(error.kind(), JoinErrorKind::TimedOut);
    under_each_method(|method| {
        let builder = Builder::new().start_method(method).reset(Setting::Timeout);
        assert_eq!(builder.spawn(late::new()).unwrap().join().unwrap(), 5);
    });
}

#[test]
fn kill_on_drop_of_an_attribute_can_be_taken_back() {
    #[process(kill_on_drop)]
    fn hang() {
        loop {
            std::thread::park();
        }
    }
    let child = hang::spawn().unwrap();
    let handle = child.handle();
    drop(child);
    assert!(!handle.is_alive());
    let builders = [
        Builder::new().reset(Setting::KillOnDrop),
        Builder::new().kill_on_drop(false),
    ];
    for builder in builders {
        let child = builder.spawn(hang::new()).unwrap();
        let handle = child.handle();
        drop(child);
        assert!(handle.is_alive());
        handle.kill().unwrap();
    }
}

#[test]
fn backtrace_of_an_attribute_can_be_taken_back() {
    #[process(
        backtrace,
        stderr = Stdio::null(),
        env_remove("RUST_BACKTRACE", "RUST_LIB_BACKTRACE")
    )]
    fn fall() {
        panic!("it falls");
    }
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        let has_backtrace = |builder: Builder| {
            let error = builder.spawn(fall::new()).unwrap().join().unwrap_err();
            error.panic().unwrap().backtrace().is_some()
        };
        assert!(has_backtrace(start()));
        // Without the setting, the environment decides.
        assert!(!has_backtrace(start().reset(Setting::Backtrace)));
        assert!(has_backtrace(
            start()
                .reset(Setting::Backtrace)
                .env("RUST_LIB_BACKTRACE", "1")
        ));
    });
}

/// What the sources say about settings.
mod sources {
    use super::*;

    pub(super) fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    pub(super) fn read(path: &str) -> syn::File {
        let text = fs::read_to_string(root().join(path)).unwrap();
        syn::parse_file(&text).unwrap()
    }

    /// A row of the table of settings.
    pub(super) struct Row {
        pub(super) variant: String,
        pub(super) field: String,
        pub(super) arguments: Vec<Argument>,
    }

    /// An argument of the attribute: its name, what it takes and an example.
    pub(super) type Argument = (String, String, String);

    impl Parse for Row {
        fn parse(input: ParseStream) -> syn::Result<Self> {
            let variant = input.parse::<Ident>()?.to_string();
            let field = input.parse::<Ident>()?.to_string();
            input.parse::<Token![:]>()?;
            input.parse::<syn::Type>()?;
            input.parse::<Token![,]>()?;
            input.parse::<LitStr>()?;
            let mut arguments = Vec::new();
            while input.parse::<Option<Token![,]>>()?.is_some() {
                let method = input.parse::<Ident>()?.to_string();
                let content;
                parenthesized!(content in input);
                let takes = content.parse::<LitStr>()?.value();
                content.parse::<Token![,]>()?;
                arguments.push((method, takes, content.parse::<LitStr>()?.value()));
            }
            input.parse::<Token![;]>()?;
            Ok(Self {
                variant,
                field,
                arguments,
            })
        }
    }

    impl Row {
        /// The methods of a builder that set the setting.
        pub(super) fn methods(&self) -> BTreeSet<String> {
            let methods = self.arguments.iter().map(|(method, ..)| method.clone());
            methods.chain([self.field.clone()]).collect()
        }
    }

    /// Parses what stands between the braces of a macro.
    fn inside<T>(file: &str, name: &str, parser: impl Fn(ParseStream) -> syn::Result<T>) -> T {
        let items = read(file).items.into_iter();
        let calls = items.filter_map(|item| match item {
            Item::Macro(item) if item.mac.path.is_ident(name) => Some(item.mac.tokens),
            _ => None,
        });
        let calls: Vec<_> = calls.collect();
        let [tokens] = calls.as_slice() else {
            panic!("`{name}` is called once in {file}");
        };
        parser.parse2(tokens.clone()).unwrap()
    }

    /// The table of settings.
    pub(super) fn table() -> Vec<Row> {
        inside("runtime/src/start/settings.rs", "settings", |input| {
            let mut rows = Vec::new();
            while !input.is_empty() {
                input.parse::<Ident>()?;
                let content;
                braced!(content in input);
                while !content.is_empty() {
                    rows.push(content.parse()?);
                }
            }
            Ok(rows)
        })
    }

    /// The methods that a running process refuses, each with its three texts.
    pub(super) fn refused_after_spawn() -> BTreeMap<String, [String; 3]> {
        let file = "runtime/src/process/misuse.rs";
        inside(file, "refused_after_spawn", |input| {
            let mut rows = BTreeMap::new();
            while !input.is_empty() {
                let method = input.parse::<Ident>()?.to_string();
                let content;
                parenthesized!(content in input);
                content.parse_terminated(Ident::parse, Token![,])?;
                input.parse::<Ident>()?;
                input.parse::<Token![:]>()?;
                let message = input.parse::<LitStr>()?.value();
                input.parse::<Token![,]>()?;
                let label = input.parse::<LitStr>()?.value();
                input.parse::<Token![,]>()?;
                let note = input.parse::<LitStr>()?.value();
                input.parse::<Token![;]>()?;
                rows.insert(method, [message, label, note]);
            }
            Ok(rows)
        })
    }

    /// The public methods of a type, each with its documentation.
    pub(super) fn methods(
        file: &str,
        of: &str,
        is_wanted: fn(&syn::Signature) -> bool,
    ) -> BTreeMap<String, String> {
        let mut methods = BTreeMap::new();
        for item in read(file).items {
            let Item::Impl(item) = item else { continue };
            let syn::Type::Path(ty) = &*item.self_ty else {
                continue;
            };
            let is_it = ty.path.segments.last().is_some_and(|name| name.ident == of);
            if item.trait_.is_some() || !is_it {
                continue;
            }
            for member in item.items {
                if let syn::ImplItem::Fn(method) = member
                    && matches!(method.vis, syn::Visibility::Public(_))
                    && is_wanted(&method.sig)
                {
                    methods.insert(method.sig.ident.to_string(), docs(&method.attrs));
                }
            }
        }
        methods
    }

    /// The documentation of an item. A macro in it is there by its name.
    pub(super) fn docs(attrs: &[syn::Attribute]) -> String {
        let docs = attrs.iter().filter_map(|attr| match &attr.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
            _ => None,
        });
        let lines = docs.map(|value| match value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => text.value(),
                _ => String::new(),
            },
            Expr::Macro(call) => {
                let name = &call.mac.path.segments.last().unwrap().ident;
                format!("{name}!")
            }
            _ => String::new(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The strings in the rows of a constant list of the macros.
    pub(super) fn list(name: &str) -> Vec<Vec<String>> {
        let items = read("macros/src/args.rs").items.into_iter();
        let mut lists = items.filter_map(|item| match item {
            Item::Const(item) if item.ident == name => Some(*item.expr),
            _ => None,
        });
        let Some(Expr::Reference(list)) = lists.next() else {
            panic!("`{name}` is a list");
        };
        let Expr::Array(list) = *list.expr else {
            panic!("`{name}` is a list");
        };
        let rows = list.elems.into_iter().map(|row| match row {
            Expr::Call(call) => call.args,
            Expr::Tuple(row) => row.elems,
            _ => panic!("a row of `{name}` is something else"),
        });
        let strings = rows.map(|row| {
            let strings = row.into_iter().filter_map(|expr| match expr {
                Expr::Lit(literal) => match literal.lit {
                    Lit::Str(text) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            });
            strings.collect()
        });
        strings.collect()
    }
}

/// The arguments that are no settings.
const NO_SETTINGS: [&str; 2] = ["crate", "output"];

/// The settings whose names are those of other methods of a running process: these return the value
/// that was set.
const ASKED_AFTER_SPAWN: [&str; 2] = ["name", "start_method"];

fn all_methods(table: &[sources::Row]) -> BTreeSet<String> {
    table.iter().flat_map(sources::Row::methods).collect()
}

#[test]
fn builder_has_the_settings_of_the_table() {
    let table = sources::table();
    let variants: Vec<_> = table.iter().map(|row| row.variant.clone()).collect();
    let all: Vec<_> = Setting::ALL
        .iter()
        .map(|setting| format!("{setting:?}"))
        .collect();
    assert_eq!(variants, all);
    let mut setters = sources::methods("runtime/src/process/builder.rs", "Builder", |sig| {
        let takes_itself = sig
            .receiver()
            .is_some_and(|this| matches!(this.kind, syn::ReceiverKind::Value));
        let gives_itself =
            |ty: &syn::Type| matches!(ty, syn::Type::Path(ty) if ty.path.is_ident("Self"));
        takes_itself && matches!(&sig.output, syn::ReturnType::Type(_, ty) if gives_itself(ty))
    });
    assert!(setters.remove("reset").is_some());
    assert_eq!(
        setters.keys().cloned().collect::<BTreeSet<_>>(),
        all_methods(&table)
    );
    for (setter, docs) in setters {
        let docs = docs.to_lowercase();
        let docs = docs.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            docs.contains("by default"),
            "the default of `{setter}` is not documented"
        );
    }
}

#[test]
fn attribute_has_the_settings_of_the_table() {
    let table = sources::table();
    let known: Vec<_> = sources::list("ARGUMENTS")
        .into_iter()
        .filter(|row| !NO_SETTINGS.contains(&&*row[0]))
        .map(|row| <[String; 3]>::try_from(row).unwrap())
        .collect();
    let expected: Vec<_> = table.iter().flat_map(|row| row.arguments.clone()).collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(method, takes, example)| [method, takes, example])
        .collect();
    assert_eq!(known, expected);
    for [method, _, example] in &known {
        assert!(example.starts_with(method.as_str()), "{example}");
    }
    // A setting that is no argument is refused with a reason.
    let refused: BTreeSet<_> = sources::list("REFUSED")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let without: BTreeSet<_> = table
        .iter()
        .filter(|row| row.arguments.is_empty())
        .map(|row| row.field.clone())
        .collect();
    assert_eq!(refused, without);

    // The documentation has the list that is made of the table, and names the rest.
    let items = sources::read("runtime/src/lib.rs").items.into_iter();
    let docs = items.filter_map(|item| match item {
        Item::Use(item) => Some(sources::docs(&item.attrs)),
        _ => None,
    });
    let lists: Vec<_> = docs
        .filter(|docs| docs.contains("arguments_in_docs!"))
        .collect();
    let [list] = lists.as_slice() else {
        panic!("the list of arguments is there once");
    };
    for setting in refused {
        assert!(
            list.contains(&format!("[`Builder::{setting}`]")),
            "{setting}"
        );
    }
}

#[test]
fn running_process_refuses_the_settings_of_the_table() {
    let mut refused = sources::refused_after_spawn();
    assert!(refused.remove("spawn").is_some());
    let mut expected = all_methods(&sources::table());
    let asked = sources::methods("runtime/src/process/child.rs", "Child", |_| true);
    for method in ASKED_AFTER_SPAWN {
        assert!(
            asked.contains_key(method) && expected.remove(method),
            "{method}"
        );
    }
    assert_eq!(refused.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (method, [message, label, note]) in refused {
        assert!(message.contains(&format!("`{method}`")), "{message}");
        assert!(label.contains(&format!("`{method}`")), "{label}");
        assert!(note.contains(&format!(".{method}(")), "{note}");
        let case = format!("tests/ui/ours/{method}_after_spawn.rs");
        assert!(sources::root().join(&case).exists(), "{case} is missing");
    }
}
