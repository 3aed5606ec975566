//! Nothing of the parent is in a child that was made anew: it is not in the memory of the child, in
//! its environment, its arguments and its descriptors, unless it was given to it.

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use procession::{Builder, StartMethod, prewarm, process};
use procession_tests::{ANEW, within};
use std::{
    env, fs,
    fs::File,
    hint,
    io::{Read, Write},
    os::unix::{fs::FileExt, process::ExitStatusExt},
    process::Command,
    thread,
    time::Duration,
};

/// The variable that holds the canary in the parent.
const VARIABLE: &str = "PROCESSION_TESTS_CANARY";

const LENGTH: usize = 32;

/// Where in this process the canary is. It is told with all bits flipped, and never put together
/// here.
#[process]
fn places(flipped: [u8; LENGTH]) -> Vec<String> {
    let is_in = |bytes: &[u8]| {
        let mut windows = bytes.windows(LENGTH);
        windows.any(|window| {
            window
                .iter()
                .zip(&flipped)
                .all(|(byte, flip)| *byte == !*flip)
        })
    };
    let mut found = Vec::new();
    for name in ["environ", "cmdline"] {
        if is_in(&fs::read(format!("/proc/self/{name}")).unwrap()) {
            found.push(name.to_owned());
        }
    }
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let name = fs::read_link(&path).unwrap_or_default();
        if name.to_string_lossy().contains("canary") {
            found.push("fd".to_owned());
        }
    }
    let memory = File::open("/proc/self/mem").unwrap();
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        // What cannot be written is that of a file, or the kernel's.
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // What the kernel maps for itself cannot be read this way.
        if memory.read_exact_at(&mut bytes, start).is_ok() && is_in(&bytes) {
            found.push(format!("memory, {rest}"));
        }
        // So that the canary is found once, and not again in here.
        bytes.fill(0);
    }
    found
}

/// What a parent has of its own: values in memory, an argument, a variable and a descriptor that an
/// exec would leave open.
#[test]
fn nothing_of_the_parent_is_in_a_child_that_was_made_anew() {
    let name = thread::current().name().unwrap().to_owned();
    let Some(canary) = env::var_os(VARIABLE) else {
        // The parent is a process that has the canary from its own start on.
        // It is not in the executable.
        let canary: String = "yromem-nwo-stnerap-eht-ni-yranac".chars().rev().collect();
        assert_eq!(canary.len(), LENGTH);
        let mut parent = Command::new(env::current_exe().unwrap());
        parent.args([&name, "--exact", "--nocapture", "--skip", &canary]);
        let status = within(Duration::from_secs(60), move || {
            parent.env(VARIABLE, canary).status()
        });
        let status = status.unwrap();
        assert!(status.success(), "{status}, {:?}", status.signal());
        return;
    };
    let canary = canary.into_encoded_bytes();
    let held = hint::black_box((canary.clone(), Box::new(canary.clone())));
    let mut file = File::from(memfd_create("canary", MFdFlags::empty()).unwrap());
    file.write_all(&canary).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&canary).unwrap();

    let flipped: Vec<u8> = canary.iter().map(|byte| !byte).collect();
    let flipped = <[u8; LENGTH]>::try_from(flipped).unwrap();
    let start = |method| {
        let builder = Builder::new().start_method(method).env_remove(VARIABLE);
        builder.spawn(places::new(flipped)).unwrap().join().unwrap()
    };
    for method in ANEW {
        assert_eq!(start(method), [""; 0], "{method}");
    }
    // A child that is forked before anybody asks for it.
    prewarm(1).unwrap();
    assert_eq!(start(StartMethod::ForkServer), [""; 0]);
    // In the parent it is everywhere.
    let here = places(flipped);
    for place in ["environ", "cmdline", "fd", "memory"] {
        assert!(
            here.iter().any(|found| found.starts_with(place)),
            "{place}: {here:?}"
        );
    }
    let mut left = [0; LENGTH];
    reader.read_exact(&mut left).unwrap();
    drop(held);
}
