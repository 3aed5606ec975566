//! Values with large parts, which are sent while the rest of the value is still being encoded.

#![allow(
    clippy::needless_pass_by_value,
    reason = "what is passed is what is tested"
)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{
    Builder, Child, ErrorKind, Fd, JoinErrorKind, StartMethod, Transfer, children, process,
};
use procession_tests::{alone_under_each_method, by, descriptors, start, under_each_method};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeTuple};
use std::{
    cell::Cell,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

/// How many numbers a large part has: more than any socket takes.
const MANY: usize = 1 << 19;

#[process]
fn echo<T: Transfer>(value: T) -> T {
    value
}

fn numbers(seed: u64) -> Vec<u64> {
    (0..MANY as u64).map(|number| number ^ seed).collect()
}

fn file(content: &str) -> Fd<File> {
    let fd = nix::sys::memfd::memfd_create(c"a test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    let mut file = File::from(fd.unwrap());
    file.write_all(content.as_bytes()).unwrap();
    Fd(file)
}

fn content(mut file: Fd<File>) -> String {
    let mut content = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut content).unwrap();
    content
}

#[derive(Serialize, Deserialize)]
struct Mixed {
    small: String,
    before: Fd<File>,
    first: Vec<u64>,
    between: Option<Fd<File>>,
    second: Vec<f64>,
    after: Vec<Fd<File>>,
    text: String,
    end: Option<()>,
}

fn mixed() -> Mixed {
    Mixed {
        small: "small".into(),
        before: file("before"),
        first: numbers(3),
        between: Some(file("between")),
        second: numbers(0)
            .into_iter()
            .map(|number| f64::from_bits(number << 30))
            .collect(),
        after: vec![file("after"), file("at last")],
        text: "ß".repeat(MANY),
        end: Some(()),
    }
}

fn check(mixed: Mixed) {
    let expected = self::mixed();
    assert_eq!(mixed.small, expected.small);
    assert!(mixed.first == expected.first && mixed.second == expected.second);
    assert!(mixed.text == expected.text);
    assert_eq!(mixed.end, expected.end);
    assert_eq!(content(mixed.before), "before");
    assert_eq!(content(mixed.between.unwrap()), "between");
    let after: Vec<_> = mixed.after.into_iter().map(content).collect();
    assert_eq!(after, ["after", "at last"]);
}

#[test]
fn parts_and_descriptors_of_every_place_arrive() {
    under_each_method(|method| {
        // While the parent receives, and long after the child has ended.
        check(start(method, echo::new(mixed())).join().unwrap());
        let mut child = start(method, echo::new(mixed()));
        assert!(child.wait().unwrap().success());
        check(child.join().unwrap());
    });
}

#[test]
fn only_the_first_part_is_taken_while_the_child_is_there() {
    #[process]
    fn slow() -> Slow {
        Slow(numbers(1), numbers(2))
    }
    under_each_method(|method| {
        let mut child = start(method, slow::new());
        let Slow(first, second) = child.value().unwrap();
        assert!(first == numbers(1) && second == numbers(2));
    });
}

/// Its second part takes longer than the child waits for a parent.
#[derive(Deserialize)]
struct Slow(Vec<u64>, Vec<u64>);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&self.0)?;
        thread::sleep(Duration::from_millis(100));
        tuple.serialize_element(&self.1)?;
        tuple.end()
    }
}

/// What encoding does after a large part.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Then {
    Fails,
    Panics,
    Exits,
    Spawns,
}

struct Odd {
    part: Vec<u64>,
    then: Then,
    method: StartMethod,
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&self.part)?;
        match self.then {
            Then::Fails => return Err(serde::ser::Error::custom("no more of it")),
            Then::Panics => panic!("in the middle"),
            Then::Exits => std::process::exit(7),
            Then::Spawns => {
                let back = start(self.method, echo::new((numbers(9), 1)))
                    .join()
                    .unwrap();
                assert!(back == (numbers(9), 1));
            }
        }
        tuple.serialize_element(&self.then)?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (part, then) = Deserialize::deserialize(deserializer)?;
        let method = StartMethod::Spawn;
        Ok(Self { part, then, method })
    }
}

#[process]
fn answer(then: Then) -> Odd {
    let method = StartMethod::Spawn;
    Odd {
        part: numbers(5),
        then,
        method,
    }
}

#[process]
fn swallow(odd: Odd) -> bool {
    odd.part == numbers(5)
}

#[test]
fn what_goes_wrong_after_a_part_is_told() {
    under_each_method(|method| {
        let error = |then| start(method, answer::new(then)).join().err().unwrap();
        let failed = error(Then::Fails);
        assert_eq!(failed.kind(), JoinErrorKind::Unsendable, "{failed}");
        assert!(
            format!("{failed:?}").contains("no more of it"),
            "{failed:?}"
        );
        let panicked = error(Then::Panics);
        assert_eq!(panicked.kind(), JoinErrorKind::Panicked, "{panicked}");
        assert!(panicked.to_string().contains("in the middle"), "{panicked}");
        let exited = error(Then::Exits);
        assert_eq!(exited.kind(), JoinErrorKind::Exited, "{exited}");
        assert_eq!(exited.status().and_then(|status| status.code()), Some(7));
    });
}

#[test]
fn what_goes_wrong_after_a_part_is_told_later() {
    under_each_method(|method| {
        for (then, kind) in [
            (Then::Fails, JoinErrorKind::Unsendable),
            (Then::Panics, JoinErrorKind::Panicked),
        ] {
            let mut child = start(method, answer::new(then));
            child.wait().unwrap();
            let error = child.join().err().unwrap();
            assert_eq!(error.kind(), kind, "{error}");
        }
    });
}

#[test]
fn failed_argument_leaves_no_child() {
    alone_under_each_method(|method| {
        let odd = |then| Odd {
            part: numbers(5),
            then,
            method,
        };
        let spawn = |then| {
            Builder::new()
                .start_method(method)
                .spawn(swallow::new(odd(then)))
        };
        drop(start(method, echo::new(0)).join());
        let before = (descriptors(), children().len());
        let error = spawn(Then::Fails).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
        assert!(format!("{error:?}").contains("no more of it"), "{error:?}");
        let panicked = std::panic::catch_unwind(|| spawn(Then::Panics).map(drop));
        assert!(panicked.is_err());
        assert!(spawn(Then::Spawns).unwrap().join().unwrap());
        assert_eq!((descriptors(), children().len()), before);
    });
}

#[test]
fn value_is_encoded_once() {
    /// An iterator that can be serialized once.
    struct Once(Cell<Option<Vec<u64>>>);

    impl Serialize for Once {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0
                .take()
                .expect("it is asked for once")
                .serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Once {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(Cell::new(Some(Vec::deserialize(deserializer)?))))
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Twice(Once, Once);

    under_each_method(|method| {
        let once = |seed| Once(Cell::new(Some(numbers(seed))));
        let child = start(method, echo::new(Twice(once(1), once(2))));
        let Twice(first, second) = child.join().unwrap();
        assert!(first.0.take() == Some(numbers(1)) && second.0.take() == Some(numbers(2)));
    });
}

#[test]
fn child_that_dies_while_it_is_sent_parts_is_an_error() {
    under_each_method(|method| {
        let builder = || by(method);
        let food = || (0_u8, numbers(0).repeat(8));
        let error = builder()
            .current_dir("/nowhere/at/all")
            .spawn(echo::new(food()));
        let error = error.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
        let error = builder().memory_limit(20 << 20).spawn(echo::new(food()));
        let error = error.err().unwrap();
        assert!(
            matches!(error.kind(), ErrorKind::EndedEarly | ErrorKind::OutOfMemory),
            "{error}"
        );
        // Its time is over before it has all of its arguments.
        match builder().timeout(Duration::ZERO).spawn(echo::new(food())) {
            Ok(child) => {
                let error = child.join().err().unwrap();
                assert_eq!(error.kind(), JoinErrorKind::TimedOut, "{error}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
        }
    });
}

/// A process that has no descriptor left when it joins a child can join it later.
#[test]
fn descriptors_after_a_part_wait_for_room() {
    #[process]
    fn give() -> (Vec<u64>, Vec<Fd<File>>) {
        (
            numbers(4),
            (0..5).map(|number| file(&number.to_string())).collect(),
        )
    }

    #[process]
    fn join_late(method: StartMethod) {
        let mut child: Child<(Vec<u64>, Vec<Fd<File>>)> = start(method, give::new());
        child.wait().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let next = File::open("/dev/null").unwrap().as_raw_fd().cast_unsigned();
        // There is room for the memory and the socket of the child, and for some of the files.
        setrlimit(Resource::RLIMIT_NOFILE, u64::from(next) + 4, hard).unwrap();
        let error = child.try_join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::Os, "{error}");
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let (part, files) = child.join().unwrap();
        assert!(part == numbers(4));
        let files: Vec<_> = files.into_iter().map(content).collect();
        assert_eq!(files, ["0", "1", "2", "3", "4"]);
    }
    under_each_method(|method| {
        if method != StartMethod::Fork {
            let builder = by(StartMethod::Spawn);
            builder
                .spawn(join_late::new(method))
                .unwrap()
                .join()
                .unwrap();
        }
    });
}

#[test]
fn child_that_is_killed_while_it_sends_parts_is_signalled() {
    #[process]
    fn endless() -> Endless {
        Endless
    }

    struct Endless;

    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let part = numbers(0);
            let mut tuple = serializer.serialize_tuple(1 << 20)?;
            for sent in 0..1 << 20 {
                if sent == 20 {
                    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
                }
                tuple.serialize_element(&part)?;
            }
            tuple.end()
        }
    }

    impl<'de> Deserialize<'de> for Endless {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    under_each_method(|method| {
        let error = start(method, endless::new()).join().err().unwrap();
        assert_eq!(error.kind(), JoinErrorKind::Signalled, "{error}");
        let mut child = start(method, endless::new());
        child.wait().unwrap();
        let error = child.join().err().unwrap();
        assert_eq!(error.kind(), JoinErrorKind::Signalled, "{error}");
    });
}
