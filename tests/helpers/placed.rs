//! A program that is put somewhere, or changes what it is after its first start, and prints what its children make of that.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a process owns its arguments"
)]

use nix::{
    errno::Errno,
    libc,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::prctl,
    unistd::chroot,
};
use procession::{Builder, Child, Process, StartMethod, prewarm, process, stop_helper};
use procession_tests::{eventually, state};
use std::{
    env, fs, io,
    os::unix::fs::FileExt,
    os::unix::process::parent_id,
    path::{Path, PathBuf},
    thread,
};

#[process]
fn nothing() {}

#[process]
fn parents() -> (u32, u32) {
    (
        parent_id(),
        procession::parent().expect("it is a child").id(),
    )
}

/// The start methods that a child may be started by here.
const ANEW: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Spawn];

fn by<P: Process>(method: StartMethod, process: P) -> Child<P::Output> {
    let builder = Builder::new().start_method(method);
    builder.spawn(process).expect("it starts")
}

/// What a child by the start method that was asked for returns.
fn run<P: Process>(process: P) -> P::Output {
    let child = Builder::new().spawn(process).expect("it starts");
    child.join().expect("it returns")
}

/// The helper, or a spare, by the name that it is listed with.
fn kept(name: &str) -> u32 {
    let find = || {
        let tasks = fs::read_dir("/proc/thread-self/..").expect("/proc is mounted");
        let lists =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        let ids: Vec<u32> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter_map(|id| id.parse().ok())
            .collect();
        let called = |id: &u32| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        ids.into_iter().find(|id| called(id).trim() == name)
    };
    eventually(name, || find().is_some());
    find().expect("it was there a moment ago")
}

/// Where a process has a secret: in its environment as others see it, and in its memory. The secret is given with every byte
/// increased by one, so that looking for it does not put it there.
fn places(id: u32, hidden: &[u8]) -> (bool, bool) {
    let contains = |bytes: &[u8]| {
        let is_it = |window: &[u8]| {
            window
                .iter()
                .zip(hidden)
                .all(|(byte, hidden)| byte.wrapping_add(1) == *hidden)
        };
        bytes.windows(hidden.len()).any(is_it)
    };
    let shown = fs::read(format!("/proc/{id}/environ")).expect("it may be read");
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("it may be read");
    let memory = fs::File::open(format!("/proc/{id}/mem")).expect("it may be read");
    let is_stored = maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').expect("a range comes first");
        let (start, end) = range.split_once('-').expect("it has a start and an end");
        let [start, end] =
            [start, end].map(|address| u64::from_str_radix(address, 16).expect("it is a number"));
        let length = usize::try_from(end - start).expect("it is mapped");
        let mut bytes = vec![0; length];
        // What a library has mapped without a right to it has no secrets, and what the kernel adds cannot be read.
        rest.starts_with("rw")
            && memory.read_exact_at(&mut bytes, start).is_ok()
            && contains(&bytes)
    });
    (contains(&shown), is_stored)
}

#[process]
fn places_here(hidden: Vec<u8>) -> (bool, bool) {
    places(std::process::id(), &hidden)
}

fn secret() {
    let hidden: Vec<u8> = env::var("TOKEN")
        .expect("it is set")
        .bytes()
        .map(|byte| byte + 1)
        .collect();
    println!(
        "first {:?}",
        by(StartMethod::ForkServer, places_here::new(hidden.clone())).join()
    );
    println!(
        "first {:?}",
        by(StartMethod::Spawn, places_here::new(hidden.clone())).join()
    );
    println!("helper {:?}", places(kept("procession-fork"), &hidden));
    // SAFETY: no other thread reads the environment.
    #[allow(unsafe_code, reason = "there is no other way")]
    unsafe {
        env::remove_var("TOKEN");
    }
    prewarm(1).expect("there is a helper");
    println!("spare {:?}", places(kept("procession-idle"), &hidden));
    println!(
        "by the spare {:?}",
        by(StartMethod::ForkServer, places_here::new(hidden.clone())).join()
    );
    prewarm(0).expect("there is a helper");
    for method in ANEW {
        println!(
            "{method} {:?}",
            by(method, places_here::new(hidden.clone())).join()
        );
    }
    stop_helper();
    println!(
        "new helper {:?}",
        by(StartMethod::ForkServer, places_here::new(hidden.clone())).join()
    );
    println!("new helper {:?}", places(kept("procession-fork"), &hidden));
}

#[process]
fn environment() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    env::vars_os().collect()
}

fn variables() {
    let ours: Vec<_> = env::vars_os().collect();
    println!(
        "{} the same: {}",
        ours.len(),
        run(environment::new()) == ours
    );
    let builder = (0..5000).fold(Builder::new(), |builder, number| {
        builder
            .env(format!("NEW_{number}"), number.to_string())
            .env_remove(format!("OLD_{number}"))
    });
    let child = builder
        .env("NEW_1", "one")
        .spawn(environment::new())
        .expect("it starts");
    let theirs = child.join().expect("it returns");
    let is_new = |(name, _): &&(std::ffi::OsString, _)| name.to_string_lossy().starts_with("NEW_");
    println!(
        "{} {:?}",
        theirs.len() - ours.len(),
        theirs.iter().filter(is_new).nth(1)
    );
}

/// Makes this program free to mount what it wants; whether it may.
fn has_own_mounts() -> bool {
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    let alone = unshare(CloneFlags::CLONE_NEWNS)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER))
        .and_then(|()| mount(None::<&str>, "/", None::<&str>, private, None::<&str>));
    if alone.is_err() {
        println!("not permitted");
    }
    alone.is_ok()
}

fn mount_empty(place: &str) {
    let nothing = MsFlags::empty();
    mount(Some("none"), place, Some("tmpfs"), nothing, None::<&str>).expect("it may be mounted");
}

#[process]
fn sees(path: PathBuf) -> bool {
    path.exists()
}

/// Changes the root directory to another place with the very same things in it, but for one.
fn change_root(root: &str) {
    if !has_own_mounts() {
        return;
    }
    let marker = PathBuf::from("/mnt/marker");
    run(nothing::new());
    let all = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/"), root, None::<&str>, all, None::<&str>).expect("it may be mounted");
    mount_empty(&format!("{root}/mnt"));
    if fs::write(format!("{root}/mnt/marker"), "").is_err() {
        // A user that is nobody in a user namespace of its own.
        println!("not permitted");
        return;
    }
    println!(
        "{} {}",
        sees(marker.clone()),
        run(sees::new(marker.clone()))
    );
    chroot(root).expect("it may be changed");
    println!("{} {}", sees(marker.clone()), run(sees::new(marker)));
}

/// Has no `/dev/null`.
fn without_null() {
    if !has_own_mounts() {
        return;
    }
    mount_empty("/dev");
    for method in procession_tests::METHODS {
        let error = Builder::new()
            .name("c")
            .start_method(method)
            .spawn(nothing::new());
        let error = error.expect_err("it cannot start");
        println!("{error}: {:?}", error.raw_os_error());
    }
}

/// Has the `/proc` of a PID namespace that it is no part of.
fn with_foreign_proc() {
    if !has_own_mounts() {
        return;
    }
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "mount", "-t", "proc", "none", "/proc"]);
    if !command.status().is_ok_and(|status| status.success()) {
        println!("not permitted");
        return;
    }
    let error = Builder::new().name("c").spawn(nothing::new());
    println!("{}", error.expect_err("it cannot start"));
}

fn read_only() {
    if !has_own_mounts() {
        return;
    }
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/", None::<&str>, read_only, None::<&str>).expect("it may be mounted");
    println!("{}", run(sees::new("/".into())));
}

/// Hides the processes of others in `/proc`.
fn hide() {
    if !has_own_mounts() {
        return;
    }
    let mounted = mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::empty(),
        Some("hidepid=2"),
    );
    if mounted.is_err() {
        println!("not permitted");
        return;
    }
    let nobody = nix::unistd::Uid::from_raw(65534);
    let _ = nix::unistd::setresuid(nobody, nobody, nobody);
    println!("{}", run(sees::new("/".into())));
}

#[process]
fn refused(path: PathBuf) -> bool {
    fs::read(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Keeps this thread from reading anything in one folder of the root directory; whether the kernel can do that.
#[allow(unsafe_code, reason = "each is one call")]
fn landlock(hidden: &Path) -> bool {
    const READ_FILE: u64 = 1 << 2;
    #[repr(C)]
    struct Ruleset {
        handled: u64,
    }
    #[repr(C, packed)]
    struct Beneath {
        allowed: u64,
        parent: i32,
    }
    let ruleset = Ruleset { handled: READ_FILE };
    // SAFETY: the call reads a struct of the size that it is told.
    let made =
        Errno::result(unsafe { libc::syscall(444, &raw const ruleset, size_of::<Ruleset>(), 0) });
    let Ok(made) = made else {
        return false;
    };
    for folder in fs::read_dir("/").expect("it may be read") {
        let path = folder.expect("it may be read").path();
        if path.as_path() != hidden
            && let Ok(parent) = fs::File::open(&path)
            && path.is_dir()
        {
            let beneath = Beneath {
                allowed: READ_FILE,
                parent: std::os::fd::AsRawFd::as_raw_fd(&parent),
            };
            // SAFETY: the call reads such a struct.
            Errno::result(unsafe { libc::syscall(445, made, 1, &raw const beneath, 0) })
                .expect("it is a rule");
        }
    }
    // SAFETY: the call takes integers.
    Errno::result(unsafe { libc::syscall(446, made, 0) }).is_ok()
}

fn sandbox() {
    let secret = PathBuf::from("/etc/passwd");
    prctl::set_no_new_privs().expect("it may be set");
    println!(
        "{} {}",
        refused(secret.clone()),
        run(refused::new(secret.clone()))
    );
    if !landlock(Path::new("/etc")) {
        println!("not permitted");
        return;
    }
    println!("{} {}", refused(secret.clone()), run(refused::new(secret)));
}

/// What a process inherits, and safe Rust has no words for.
#[allow(unsafe_code, reason = "each is one call")]
mod inherited {
    use nix::libc::{self, c_long};

    const FORBIDDEN: libc::c_ulong = 0;
    // `prctl.h`; missing from the libc crate for some targets.
    const PR_GET_SPECULATION_CTRL: libc::c_int = 52;
    const PR_SET_SPECULATION_CTRL: libc::c_int = 53;

    /// Returns what each is.
    pub(crate) fn look() -> Vec<(String, c_long)> {
        let ask = |option: libc::c_int, argument: libc::c_ulong| -> c_long {
            // SAFETY: these options take integers and change nothing.
            unsafe { libc::prctl(option, argument, FORBIDDEN, FORBIDDEN, FORBIDDEN) }.into()
        };
        // SAFETY: this value asks.
        let personality = unsafe { libc::personality(0xffff_ffff) };
        let mut found = vec![
            ("personality", personality.into()),
            // SAFETY: the call takes an integer.
            ("scheduler", unsafe {
                libc::syscall(libc::SYS_sched_getscheduler, 0)
            }),
            // SAFETY: the call takes integers.
            ("keyring", unsafe {
                libc::syscall(libc::SYS_keyctl, 0, -3, 0)
            }),
            ("timer slack", ask(libc::PR_GET_TIMERSLACK, 0)),
            ("huge pages", ask(libc::PR_GET_THP_DISABLE, 0)),
            ("machine checks", ask(libc::PR_MCE_KILL_GET, 0)),
            ("secure bits", ask(libc::PR_GET_SECUREBITS, 0)),
            ("speculation", ask(PR_GET_SPECULATION_CTRL, 0)),
        ];
        let (mut policy, address) = (0_i32, std::ptr::null::<libc::c_void>());
        // SAFETY: the result is a valid place to write to.
        unsafe {
            libc::syscall(
                libc::SYS_get_mempolicy,
                &raw mut policy,
                address,
                0,
                address,
                0,
            )
        };
        found.push(("memory policy", policy.into()));
        found
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Changes the one of this number, if the kernel lets it.
    pub(crate) fn change(number: usize) {
        let set = |option: libc::c_int, first: libc::c_ulong, second: libc::c_ulong| {
            // SAFETY: these options take integers.
            unsafe { libc::prctl(option, first, second, FORBIDDEN, FORBIDDEN) };
        };
        let priority = 0_i32;
        match number {
            // SAFETY: the call takes an integer.
            0 => drop(unsafe { libc::personality(0x004_0000) }),
            // SAFETY: the parameter is valid to read.
            1 => drop(unsafe {
                libc::syscall(
                    libc::SYS_sched_setscheduler,
                    0,
                    libc::SCHED_BATCH,
                    &raw const priority,
                )
            }),
            // SAFETY: a null name makes a new keyring.
            2 => drop(unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<u8>()) }),
            3 => set(libc::PR_SET_TIMERSLACK, 123_456, 0),
            4 => set(libc::PR_SET_THP_DISABLE, 1, 0),
            5 => set(libc::PR_MCE_KILL, 1, 1),
            6 => set(libc::PR_SET_SECUREBITS, 1 << 2, 0),
            7 => set(PR_SET_SPECULATION_CTRL, 0, 1 << 2),
            // SAFETY: the policy of this number takes no nodes.
            _ => drop(unsafe {
                libc::syscall(libc::SYS_set_mempolicy, 4, std::ptr::null::<u8>(), 0)
            }),
        }
    }
}

#[process]
fn look() -> Vec<(String, libc::c_long)> {
    inherited::look()
}

fn change_each() {
    run(nothing::new());
    let mut before = inherited::look();
    for number in 0..before.len() {
        inherited::change(number);
        let (ours, theirs) = (inherited::look(), run(look::new()));
        let name = &ours[number].0;
        if ours == before {
            eprintln!("{name} cannot be changed here");
        } else {
            eprintln!("{name} was changed: {:?}", ours[number].1);
        }
        if ours != theirs {
            println!("{name}: {ours:?} {theirs:?}");
        }
        before = ours;
    }
    println!("compared");
}

/// Has children that are born into another PID namespace.
fn bear_elsewhere(late: bool) {
    if late {
        run(nothing::new());
    }
    if unshare(CloneFlags::CLONE_NEWPID)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUSER))
        .is_err()
    {
        println!("not permitted");
        return;
    }
    let child = Builder::new().spawn(parents::new()).expect("it starts");
    println!("{} {:?}", child.start_method(), child.join());
}

/// Ends the main thread, and starts children from another.
fn go_on_without_main_thread() {
    let id = std::process::id();
    thread::spawn(move || {
        eventually("the main thread has ended", || state(id) == Some('Z'));
        println!("{}", run(parents::new()) == (id, id));
        std::process::exit(0);
    });
    // SAFETY: the call takes an integer. The thread has nothing that another borrows.
    #[allow(unsafe_code, reason = "there is no other way")]
    unsafe {
        libc::syscall(libc::SYS_exit, 0);
    }
}

#[process]
fn comm() -> Result<String, String> {
    fs::read_to_string("/proc/self/comm").map_err(|error| error.to_string())
}

/// How many descriptors lead to a file.
#[process]
fn descriptors(path: PathBuf) -> usize {
    let fds = fs::read_dir("/proc/thread-self/fd").expect("/proc is mounted");
    let targets = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    targets.filter(|target| *target == path).count()
}

/// Holds a descriptor that is not closed on exec, beside those of a preloaded library.
fn hold(theirs: &str, own: &str) {
    let (theirs, own) = (PathBuf::from(theirs), PathBuf::from(own));
    let file = fs::File::open(&own).expect("it may be opened");
    nix::fcntl::fcntl(
        &file,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .expect("it is open");
    println!(
        "{} {}",
        run(descriptors::new(theirs)),
        run(descriptors::new(own))
    );
}

/// Starts a child, and tells by which method.
fn tell_method() {
    let child = Builder::new().spawn(parents::new()).expect("it starts");
    let method = child.start_method();
    let (parent, _) = child.join().expect("it returns");
    println!("{method} {}", parent == std::process::id());
}

fn main() {
    procession_tests::use_method();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["secret"] => secret(),
        ["variables"] => variables(),
        ["root", root] => change_root(root),
        ["null"] => without_null(),
        ["foreign proc"] => with_foreign_proc(),
        ["read-only"] => read_only(),
        ["hidden"] => hide(),
        ["sandbox"] => sandbox(),
        ["changes"] => change_each(),
        ["elsewhere"] => bear_elsewhere(false),
        ["elsewhere later"] => bear_elsewhere(true),
        ["no main thread"] => go_on_without_main_thread(),
        ["name"] => {
            let named = Builder::new()
                .name("обработчик запросов")
                .spawn(comm::new());
            println!("{:?}", named.expect("it starts").join());
        }
        ["hold", theirs, own] => hold(theirs, own),
        _ => tell_method(),
    }
}
