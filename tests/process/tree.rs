//! Ending a process with all of its descendants.

use nix::{
    sched::{CloneFlags, unshare},
    sys::resource::{Resource, getrlimit, setrlimit},
};
use procession::{StartMethod, process};
use procession_tests::{
    DEADLINE, alone, alone_under_each_method, by, change, child_ids, descriptors, eventually,
    forever, read_to_end, spawn, state, under_each_method, within,
};
use std::{
    fs,
    io::{self, PipeWriter, Read, Write},
    process::{Command, Stdio},
    thread,
};

/// Starts children of every sort that start more of them, until it is killed; each holds the pipe.
#[process]
#[allow(clippy::zombie_processes, reason = "somebody else sees to them")]
fn breed(held: &PipeWriter, depth: u32, method: StartMethod) {
    let copy = || held.try_clone().unwrap();
    // A program, and one whose parent ends at once.
    let sleeper = || {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null()).stdout(copy());
        command
    };
    sleeper().spawn().unwrap();
    Command::new("sh")
        .args(["-c", "sleep 1000 & exit"])
        .stdin(Stdio::null())
        .stdout(copy())
        .status()
        .unwrap();
    if depth > 0 {
        let child = spawn(method, breed::new(held, depth - 1, method));
        child.detach();
    }
    (&*held).write_all(&[0]).unwrap();
    // It goes on with it while it is being ended.
    loop {
        let _ = sleeper().args(["0.001"]).status();
        thread::yield_now();
    }
}

#[test]
fn nobody_is_left_of_a_tree() {
    alone(|| {
        let before = (descriptors(), child_ids());
        under_each_method(|method| {
            for depth in [0, 3] {
                let (mut reader, writer) = io::pipe().unwrap();
                let builder = by(method).subreaper(true);
                let child = builder.spawn(breed::new(&writer, depth, method)).unwrap();
                drop(writer);
                // All of them are at it.
                reader.read_exact(&mut vec![0; depth as usize + 1]).unwrap();
                let status = child.handle().kill_tree().unwrap();
                assert!(!status.success());
                child.join().unwrap_err();
                // Nobody holds the pipe any more, or this would not end.
                assert_eq!(read_to_end(&reader), "");
                assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            }
        });
        assert_eq!((descriptors(), child_ids()), before);
    });
}

/// Goes on in another thread than the main one, which ends: `/proc` shows the state of a zombie.
#[process]
fn go_on_without_main_thread(held: PipeWriter) {
    thread::spawn(move || {
        (&held).write_all(&[0]).unwrap();
        forever();
    });
    change::end_this_thread();
}

/// Has a name that is not UTF-8, and that looks like the fields which follow a name.
#[process]
#[expect(clippy::needless_pass_by_value, reason = "it holds the pipe")]
fn go_on_with_an_odd_name(held: PipeWriter) {
    fs::write("/proc/thread-self/comm", b"a) Z 1 \xff\xfe(").unwrap();
    (&held).write_all(&[0]).unwrap();
    forever();
}

#[process]
fn have_a_child(held: PipeWriter, without_main_thread: bool, method: StartMethod) {
    let builder = by(method);
    let child = if without_main_thread {
        builder.spawn(go_on_without_main_thread::new(held))
    } else {
        builder.spawn(go_on_with_an_odd_name::new(held))
    };
    child.unwrap().detach();
    forever();
}

#[test]
fn descendants_that_look_odd_are_ended_as_well() {
    under_each_method(|method| {
        for without_main_thread in [false, true] {
            let (mut reader, writer) = io::pipe().unwrap();
            let builder = by(method);
            let parent = have_a_child::new(writer, without_main_thread, method);
            let child = builder.spawn(parent).unwrap();
            reader.read_exact(&mut [0]).unwrap();
            child.handle().kill_tree().unwrap();
            child.join().unwrap_err();
            assert_eq!(read_to_end(&reader), "");
        }
    });
}

#[process]
fn pass_on(mut from: io::PipeReader, mut to: PipeWriter) {
    io::copy(&mut from, &mut to).unwrap();
}

/// A process that is not stopped passes on what it is given.
#[test]
fn error_leaves_the_process_as_it_was() {
    alone_under_each_method(|method| {
        let (from, mut to_child) = io::pipe().unwrap();
        let (mut from_child, to) = io::pipe().unwrap();
        let child = spawn(method, pass_on::new(from, to));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        let refused = child.handle().kill_tree();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        refused.unwrap_err();
        to_child.write_all(&[1]).unwrap();
        from_child.read_exact(&mut [0]).unwrap();

        // A process that somebody else has stopped is left so.
        child.signal(nix::libc::SIGSTOP).unwrap();
        eventually("it is stopped", || state(child.id()) == Some('T'));
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        let refused = child.handle().kill_tree();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        refused.unwrap_err();
        assert_eq!(state(child.id()), Some('T'));
        child.handle().kill_tree().unwrap();
        drop(to_child);
    });
}

#[process]
fn wait_for_end(mut held: io::PipeReader) {
    let _ = held.read(&mut [0]);
}

/// Where `/proc` tells of the processes of another pid namespace, nobody knows from it who is whose
/// descendant.
#[process]
fn try_with_foreign_proc() -> String {
    let (reader, writer) = io::pipe().unwrap();
    let start = || {
        spawn(
            StartMethod::Spawn,
            wait_for_end::new(reader.try_clone().unwrap()),
        )
    };
    let others: Vec<_> = (0..4).map(|_| start()).collect();
    let child = start();
    let error = child.handle().kill_tree().unwrap_err();
    assert!(child.is_alive() && others.iter().all(procession::Child::is_alive));
    // None of them is stopped.
    drop(writer);
    for child in others {
        child.join().unwrap();
    }
    child.join().unwrap();
    std::error::Error::source(&error).unwrap().to_string()
}

#[process]
fn enter_namespace() -> Option<String> {
    // It takes a right that not every machine gives.
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID).ok()?;
    let child = spawn(StartMethod::Spawn, try_with_foreign_proc::new());
    Some(child.join().unwrap())
}

#[test]
fn nobody_is_ended_by_the_proc_of_another_namespace() {
    within(DEADLINE, || {
        let apart = by(StartMethod::Spawn).timeout(DEADLINE);
        match apart.spawn(enter_namespace::new()).unwrap().join().unwrap() {
            Some(said) => assert_eq!(
                said,
                "/proc is not that of the pid namespace of this process"
            ),
            None => eprintln!("there are no pid namespaces here: nothing is tested"),
        }
    });
}

/// Each member of the chain has ended as soon as there is a next, so that no look at all processes
/// need find one.
#[process]
#[allow(unsafe_code, reason = "a copy is made by the bare call")]
fn chain() {
    use nix::unistd::{ForkResult, fork};
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }.unwrap() {
        for _ in 0..2000 {
            thread::sleep(std::time::Duration::from_millis(1));
            // SAFETY: as above.
            if let ForkResult::Parent { .. } = unsafe { fork() }.unwrap() {
                // SAFETY: the call takes an integer and does not return.
                unsafe { nix::libc::_exit(0) };
            }
        }
        // SAFETY: as above.
        unsafe { nix::libc::_exit(0) };
    }
    forever()
}

#[test]
fn chain_that_runs_away_is_caught() {
    alone_under_each_method(|method| {
        let builder = by(method).subreaper(true);
        // Held open by every member.
        let child = builder
            .stderr(procession::Stdio::piped())
            .spawn(chain::new());
        let mut child = child.unwrap();
        let end = child.stderr.take().unwrap();
        child.handle().kill_tree().unwrap();
        // None of them is left when it returns.
        let ended = procession::channel::wait(&[&end], std::time::Duration::ZERO).unwrap();
        assert_eq!(ended, [0]);
    });
}
