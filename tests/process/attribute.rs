//! What the attribute of a process sets, and what a builder says to that.

use super::settings::nice;
use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::prctl::get_child_subreaper,
    sys::resource::{Resource, getrlimit},
    unistd::{Pid, getgid, getpgrp, getpid, getuid},
};
use procession::{
    AuthKey, Builder, ErrorKind, JoinErrorKind, Setting, StartMethod, Stdio, authkey, current,
    process,
};
use procession_tests::{read_to_end, under_each_method};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap())
        .collect()
}

/// What a process can see of its settings, by their names.
type Portrait = BTreeMap<String, String>;

/// The settings that a process does not see. Tests of their own take them back.
const UNSEEN: [Setting; 7] = [
    Setting::Timeout,
    Setting::KillOnDrop,
    Setting::MayHaveChildren,
    Setting::Backtrace,
    Setting::Groups,
    Setting::Gid,
    Setting::Uid,
];

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
        (
            Setting::ProcessGroup,
            if getpgrp() == getpid() {
                "own"
            } else {
                "another"
            }
            .to_owned(),
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
    process_group = 0,
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
            .affinity([cpus()[0]])
            .process_group(0);
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

/// Whether this process may have children, and the error that it is refused one with.
#[process(may_have_children = false)]
fn childless() -> bool {
    // The child would not start in any case.
    let error = Builder::new()
        .current_dir("/nowhere")
        .spawn(plain::new())
        .unwrap_err();
    error.kind() != ErrorKind::DaemonicChildren
}

#[test]
fn leave_to_have_children_is_taken_back() {
    under_each_method(|method| {
        let run = |builder: Builder| builder.spawn(childless::new()).unwrap().join().unwrap();
        let start = || Builder::new().start_method(method);
        assert!(!run(start()));
        assert!(run(start().may_have_children(true)));
        assert!(run(start().reset(Setting::MayHaveChildren)));
        assert!(!run(start().daemon(true).reset(Setting::MayHaveChildren)));
    });
}

type Ids = (u32, u32, Vec<u32>);

fn own_ids() -> Ids {
    let groups = fs::read_to_string("/proc/thread-self/status").unwrap();
    let groups = groups.lines().find_map(|line| line.strip_prefix("Groups:"));
    let groups = groups.unwrap().split_whitespace();
    let groups = groups.map(|id| id.parse().unwrap()).collect();
    (getuid().as_raw(), getgid().as_raw(), groups)
}

#[process(uid = 65534, gid = 65533, groups = [7, 8])]
fn other_ids() -> Ids {
    own_ids()
}

#[test]
fn user_and_groups_of_an_attribute_are_taken_back() {
    under_each_method(|method| {
        let start = || Builder::new().start_method(method);
        if !getuid().is_root() {
            let error = start().spawn(other_ids::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setting);
            return;
        }
        let run = |builder: Builder| builder.spawn(other_ids::new()).unwrap().join().unwrap();
        let (uid, gid, groups) = own_ids();
        assert_eq!(run(start()), (65534, 65533, vec![7, 8]));
        let seen = run(start().reset(Setting::Uid));
        assert_eq!(seen, (uid, 65533, vec![7, 8]));
        let seen = run(start().reset(Setting::Gid));
        assert_eq!(seen, (65534, gid, vec![7, 8]));
        // Another user does not have the groups of this one.
        let seen = run(start().reset(Setting::Groups));
        assert_eq!(seen, (65534, 65533, vec![]));
        let all = [Setting::Uid, Setting::Gid, Setting::Groups];
        let seen = run(all.into_iter().fold(start(), Builder::reset));
        assert_eq!(seen, (uid, gid, groups));
    });
}
