//! Where a filter, or the user of a process, stands in the way of what a start needs.

use nix::{
    libc,
    unistd::{Uid, seteuid},
};
use procession::{ErrorKind, process};
use procession_tests::{ANEW, DEADLINE, alone_within, by, forever, refuse, run, spawn};

#[process]
fn three() -> u8 {
    3
}

#[process]
fn hang() {
    forever()
}

#[test]
fn process_of_two_users_starts_no_executable() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root may change its user");
        return;
    }
    alone_within(DEADLINE, || {
        // The kernel takes an exec for one that gains privileges. The child would run `main`.
        assert_eq!(run(ANEW[0], three::new()), 3);
        seteuid(Uid::from_raw(65534)).unwrap();
        for method in ANEW {
            let error = by(method).spawn(three::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Privileged, "{error}");
        }
        seteuid(Uid::from_raw(0)).unwrap();
        for method in ANEW {
            assert_eq!(run(method, three::new()), 3);
        }
    });
}

#[test]
fn child_that_could_not_tell_its_parent_is_not_started() {
    alone_within(DEADLINE, || {
        refuse(libc::SYS_getsockopt, libc::EPERM);
        for method in ANEW {
            let error = by(method).spawn(three::new()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
            let what = "a child could not recognise its parent";
            assert!(error.to_string().contains(what), "{error}");
        }
    });
}

#[test]
fn children_are_killed_where_a_pidfd_cannot_be_signalled() {
    alone_within(DEADLINE, || {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let before = ANEW.map(|method| spawn(method, hang::new()));
            refuse(libc::SYS_pidfd_send_signal, errno);
            let after = ANEW.map(|method| spawn(method, hang::new()));
            for child in before.into_iter().chain(after) {
                child.terminate().unwrap();
                assert_eq!(child.join().unwrap_err().signal(), Some(libc::SIGTERM));
            }
            for method in ANEW {
                let builder = by(method).kill_on_drop(true);
                let child = builder.spawn(hang::new()).unwrap();
                let handle = child.handle();
                drop(child);
                assert!(!handle.is_alive());
            }
        }
    });
}

#[test]
fn children_are_joined_where_waitid_is_refused() {
    alone_within(DEADLINE, || {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let before = ANEW.map(|method| spawn(method, three::new()));
            refuse(libc::SYS_waitid, errno);
            let after = ANEW.map(|method| spawn(method, three::new()));
            for mut child in before.into_iter().chain(after) {
                assert!(child.wait().unwrap().success());
                assert_eq!(child.join().unwrap(), 3);
            }
            for method in ANEW {
                let mut child = spawn(method, hang::new());
                child.kill().unwrap();
                assert_eq!(child.wait().unwrap().code(), None);
                assert_eq!(child.join().unwrap_err().signal(), Some(libc::SIGKILL));
            }
        }
    });
}
