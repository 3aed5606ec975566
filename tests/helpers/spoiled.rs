//! Spoils something of itself that a start needs, and prints what a start then says.

use nix::{
    mount::{MntFlags, umount2},
    sched::{CloneFlags, unshare},
    sys::resource::{Resource, setrlimit},
    unistd::{Uid, setresuid},
};
use procession::{Builder, process};

#[process]
fn nothing() {}

fn main() {
    procession_tests::use_method();
    let act = std::env::args().nth(1).unwrap_or_default();
    match act.as_str() {
        "descriptors" => {
            let mut open = Vec::new();
            setrlimit(Resource::RLIMIT_NOFILE, 40, 40).expect("limits can be lowered");
            while let Ok(file) = std::fs::File::open("/dev/null") {
                open.push(file);
            }
            // From none left to enough: each step must fail in the same way, or not at all.
            let mut errors = Vec::new();
            while let Err(error) = Builder::new().daemon(true).spawn(nothing::new()) {
                errors.push(format!("{:?} {:?}", error.kind(), error.raw_os_error()));
                open.pop();
            }
            errors.dedup();
            assert_eq!(errors.len(), 1, "{errors:?}");
            println!("{}", errors[0]);
        }
        "processes" => {
            if Uid::effective().is_root() {
                let nobody = Uid::from_raw(65534);
                setresuid(nobody, nobody, nobody).expect("root may");
            }
            setrlimit(Resource::RLIMIT_NPROC, 0, 0).expect("limits can be lowered");
            report();
        }
        "proc" => {
            let alone = unshare(CloneFlags::CLONE_NEWNS)
                .or_else(|_| unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER))
                .and_then(|()| {
                    let private = nix::mount::MsFlags::MS_PRIVATE | nix::mount::MsFlags::MS_REC;
                    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
                })
                .and_then(|()| umount2("/proc", MntFlags::MNT_DETACH));
            if alone.is_err() {
                println!("not permitted");
                return;
            }
            let error = Builder::new().name("c").spawn(nothing::new()).unwrap_err();
            println!("{:?} {error}", error.kind());
        }
        _ => match nothing::spawn() {
            Ok(child) => println!("{:?}", child.join()),
            Err(error) => println!("{:?} {error}", error.kind()),
        },
    }
}

fn report() {
    match nothing::spawn() {
        Ok(child) => println!("{:?}", child.join()),
        Err(error) => println!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}
