//! Descriptors that are handed over, and none that is left behind.

#![allow(
    clippy::large_types_passed_by_value,
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "what is passed, and how much of it, is what is tested"
)]

use procession::{
    Fd,
    net::{Client, ErrorKind, Options},
    process,
};
use procession_tests::{
    DEADLINE, Directory, alone, alone_under_each_method, alone_within, descriptors,
    net::{LONG, both, kind, options, pair, stranger},
    read_to_end, run, spawn, threads, under_each_method,
};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

#[test]
fn files_and_sockets_travel() {
    #[process]
    fn work(
        mut file: File,
        listener: TcpListener,
        socket: UnixStream,
        lent: &OwnedFd,
    ) -> (Fd<File>, Fd<UnixStream>) {
        file.write_all(b"from the child").unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        connection.write_all(b"served").unwrap();
        assert!(lent.try_clone().is_ok());
        (Fd(file), Fd(socket))
    }
    alone_under_each_method(|method| {
        let before = descriptors();
        let file = tempfile();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let lent = OwnedFd::from(File::open("/dev/null").unwrap());
        let child = spawn(method, work::new(file, listener, theirs, &lent));
        let mut said = String::new();
        TcpStream::connect(address)
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "served");
        let (mut file, mut theirs) = child.join().unwrap();
        file.rewind().unwrap();
        said.clear();
        file.read_to_string(&mut said).unwrap();
        assert_eq!(said, "from the child");
        theirs.write_all(b"x").unwrap();
        ours.read_exact(&mut [0]).unwrap();
        drop((file, theirs, ours, lent));
        assert_eq!(descriptors(), before);
    });
}

fn tempfile() -> File {
    let path = std::env::temp_dir().join(format!("procession-transfer-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

#[test]
fn child_holds_what_it_was_given_and_nothing_else() {
    #[process]
    fn look() -> Vec<String> {
        descriptors().into_iter().collect()
    }
    alone(|| {
        // One that exec would hand on, as a careless C library leaves them.
        let careless = nix::unistd::dup(File::open("/dev/null").unwrap()).unwrap();
        let closed_on_exec = File::open("/dev/zero").unwrap();
        under_each_method(|method| {
            let held = run(method, look::new());
            let (standard, other): (Vec<_>, Vec<_>) = held.into_iter().partition(|fd| {
                (0..3).any(|number| fd.starts_with(&format!("/proc/self/fd/{number} ")))
            });
            assert_eq!(standard.len(), 3, "{standard:?}");
            // The line to the parent, and the parent's pidfd.
            let known = |fd: &String| fd.contains("socket:") || fd.contains("pidfd");
            assert!(other.iter().all(known) && other.len() <= 2, "{other:?}");
        });
        drop((careless, closed_on_exec));
    });
}

#[test]
fn nothing_is_left_of_what_is_large() {
    #[process]
    fn make(length: usize) -> (Vec<u8>, Fd<File>, Vec<f64>) {
        let file = File::open("/dev/null").unwrap();
        (vec![7; length], Fd(file), vec![0.5; length])
    }
    alone_under_each_method(|method| {
        let start = |length| spawn(method, make::new(length));
        start(1).join().unwrap();
        let before = descriptors();
        for _ in 0..10 {
            let (bytes, _, floats) = start(100_000).join().unwrap();
            assert!(bytes == vec![7; 100_000] && floats == vec![0.5; 100_000]);
            // One that ends and is not joined, and one that is killed in the middle of it, or was
            // faster.
            assert!(start(100_000).wait().unwrap().success());
            let child = start(3_000_000);
            child.kill().unwrap();
            drop(child.join());
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    alone_within(DEADLINE, || {
        let before = descriptors();
        let (mut client, mut server) = pair();
        let (reader, writer) = io::pipe().unwrap();
        let writer = Fd(writer);
        for _ in 0..3 {
            client.send(&writer).unwrap();
        }
        drop(writer);
        server.recv_bytes().unwrap();
        server.recv_bytes_into(&mut [0; 64]).unwrap();
        assert_eq!(kind(server.recv::<String>()), ErrorKind::Decode);
        assert_eq!(read_to_end(reader), "");
        drop((client, server));

        // Who has not proven the key cannot even have them arrive.
        let (here, there) = UnixStream::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut stranger = Options::new().connect_over(there).unwrap();
        stranger.send(&Fd(writer)).unwrap();
        assert_eq!(kind(options().accept_over(here)), ErrorKind::NoKey);
        assert_eq!(read_to_end(reader), "");
        drop(stranger);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn listeners_and_connections_leave_nothing() {
    alone_within(DEADLINE, || {
        let directory = Directory::new();
        let path = directory.0.join("socket");
        let before = (descriptors(), threads());
        for _ in 0..50 {
            let listener = options().bind(&*path).unwrap();
            let (accepted, connected) = both(|| listener.accept(), || options().connect(&*path));
            let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
            connected.send_bytes(b"unread").unwrap();
            assert!(accepted.poll(LONG));
            let (refused, rejected) = both(|| listener.accept(), || stranger().connect(&*path));
            assert!(refused.is_err() && rejected.is_err());
            assert!(path.exists());
            drop(listener);
            assert!(!path.exists());
            assert_eq!(kind(Client::connect(&*path)), ErrorKind::Io);
        }
        assert_eq!((descriptors(), threads()), before);
    });
}
