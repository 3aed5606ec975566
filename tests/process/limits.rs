//! What the system refuses is an error that says what it was, and the process lives.

use nix::{
    libc,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use procession::{
    Error, ErrorKind, Fd, JoinError, JoinErrorKind, StartMethod,
    channel::{Receiver, SendError, queue},
    prewarm, process,
    shm::SharedSlice,
    sync::Mutex,
};
use procession_tests::{by, spawn, start, under_each_method, with_each_method};
use std::{error, fs::File, io, iter, os::fd::AsRawFd, time::Duration};

/// The errno behind an error, wherever it is among its causes.
fn errno(error: &(dyn error::Error + 'static)) -> Option<i32> {
    iter::successors(Some(error), |error| error.source()).find_map(|error| {
        let io = error.downcast_ref::<io::Error>();
        io.and_then(io::Error::raw_os_error)
            .or_else(|| error.downcast_ref::<Error>()?.raw_os_error())
    })
}

fn refusal<T>(result: Result<T, Error>) -> Option<i32> {
    errno(&result.err()?)
}

fn sent<T>(result: Result<(), SendError<T>>) -> Result<(), Error> {
    match result {
        Err(SendError::Failed(_, error)) => Err(error),
        _ => Ok(()),
    }
}

#[process]
fn nothing() {}

type Refusals = Vec<(String, Option<i32>)>;

/// In what everything ends that needs memory of its own, where no file may be longer than `limit`.
#[process]
fn without_long_files(limit: u64) -> Refusals {
    let (sender, _receiver) = queue::<Vec<u8>>(4).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, limit, limit).unwrap();
    // Neither is an error: the helper cannot have its board, and the method that needs none takes
    // its place.
    prewarm(1).unwrap();
    start(StartMethod::ForkServer, nothing::new())
        .join()
        .unwrap();
    vec![
        ("a queue".into(), refusal(queue::<u8>(1 << 16))),
        ("a mutex".into(), refusal(Mutex::new([0_u8; 1 << 16]))),
        ("memory".into(), refusal(SharedSlice::<u8>::new(1 << 16))),
        (
            "a large message".into(),
            refusal(sent(sender.send(vec![0; 1 << 20]))),
        ),
    ]
}

#[test]
fn limit_on_the_size_of_files_is_an_error() {
    under_each_method(|method| {
        let refusals = spawn(method, without_long_files::new(0)).join();
        for (what, errno) in refusals.unwrap() {
            assert_eq!(errno, Some(libc::EFBIG), "{what}");
        }
    });
}

#[process]
fn without_descriptors() -> Refusals {
    let (sender, _receiver) = queue::<Vec<Fd<File>>>(4).unwrap();
    let (large, _large) = queue::<Vec<u8>>(4).unwrap();
    let files = vec![Fd(File::open("/dev/null").unwrap())];
    // The lowest number that is free, and those above it, cannot be used from now on.
    let free = File::open("/dev/null").unwrap().as_raw_fd();
    let free = u64::try_from(free).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, free, free).unwrap();
    vec![
        (
            "a large message".into(),
            refusal(sent(large.send(vec![0; 1 << 20]))),
        ),
        ("a descriptor".into(), refusal(sent(sender.send(files)))),
    ]
}

#[test]
fn full_table_of_descriptors_is_told_by_its_number() {
    let refusals = without_descriptors::spawn().unwrap().join().unwrap();
    for (what, errno) in refusals {
        assert_eq!(errno, Some(libc::EMFILE), "{what}");
    }
}

#[process]
fn large() -> Vec<u8> {
    vec![7; 1 << 20]
}

#[process]
fn file() -> File {
    File::open("/dev/null").unwrap()
}

/// Joins such children, each of which has ended before, while the table is full; and again when it
/// is not.
#[process]
fn join_without_descriptors(method: StartMethod) {
    let mut children = [start(method, large::new()), start(method, large::new())];
    let mut opens = start(method, file::new());
    for child in &mut children {
        child.wait().unwrap();
    }
    opens.wait().unwrap();
    let free = File::open("/dev/null").unwrap().as_raw_fd();
    let free = u64::try_from(free).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, free, hard).unwrap();
    let refused = |error: JoinError| {
        assert_eq!(error.kind(), JoinErrorKind::Os, "{error:?}");
        assert_eq!(errno(&error), Some(libc::EMFILE), "{error:?}");
    };
    let [first, second] = &mut children;
    refused(first.value().unwrap_err());
    refused(first.try_join().unwrap_err());
    refused(second.join_timeout(Duration::from_secs(20)).unwrap_err());
    refused(opens.value().unwrap_err());
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(first.value().unwrap(), vec![7; 1 << 20]);
    assert_eq!(second.try_join().unwrap(), Some(vec![7; 1 << 20]));
    assert!(opens.value().unwrap().metadata().is_ok());
}

#[test]
fn value_that_finds_no_descriptor_can_be_joined_later() {
    with_each_method(|method| {
        let joins = spawn(StartMethod::Spawn, join_without_descriptors::new(method));
        joins.join().unwrap();
    });
}

/// Whatever is short, the number tells it: the descriptors that come with a queue, or those that
/// its end here takes beside them.
#[test]
fn queue_that_cannot_be_opened_without_descriptors_says_so() {
    #[process]
    fn take(numbers: &Receiver<u8>) -> usize {
        numbers.len()
    }
    under_each_method(|method| {
        let mut refused = 0;
        let length = (3..64).find_map(|limit| {
            let (_sender, receiver) = queue::<u8>(4).unwrap();
            let start = by(method).open_files_limit(limit);
            match start.spawn(take::new(&receiver)) {
                Ok(child) => Some(child.join().unwrap()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TooManyFiles, "{limit}: {error:?}");
                    refused += 1;
                    None
                }
            }
        });
        assert_eq!(length, Some(0));
        assert!(refused > 0);
    });
}
