//! Errors as the `Err` of an output: what arrives of them.

use anyhow::Context;
use procession::{
    Process, RemoteError, Transfer,
    channel::{Sender, queue},
    process,
};
use procession_tests::{by, chain, run, under_each_method};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, ErrorKind, Read},
    num::ParseIntError,
};

/// The errors that std makes, one of each form.
#[process]
fn fail(how: u32) -> io::Result<u32> {
    match how {
        0 => Ok(7),
        1 => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
        2 => Err(ErrorKind::WouldBlock.into()),
        3 => Err(io::Error::new(ErrorKind::InvalidData, "no header")),
        4 => Err(io::Error::other(Outer(Inner))),
        // Std makes this one of a text of its own.
        5 => io::empty().read_exact(&mut [0]).map(|()| 0),
        _ => Err(io::Error::new(
            ErrorKind::TimedOut,
            io::Error::from_raw_os_error(nix::libc::EPERM),
        )),
    }
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be opened")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key\nis lost")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

#[test]
fn io_error_arrives_with_kind_code_and_message() {
    under_each_method(|method| {
        assert_eq!(run(method, fail::new(0)).unwrap(), 7);
        for how in 1..=6 {
            let (here, there) = (fail(how).unwrap_err(), run(method, fail::new(how)));
            let there = there.unwrap_err();
            assert_eq!(there.kind(), here.kind());
            assert_eq!(there.raw_os_error(), here.raw_os_error());
            assert_eq!(chain(&there), chain(&here));
            if how != 5 {
                assert_eq!(format!("{there:?}"), format!("{here:?}"));
                assert_eq!(there.get_ref().is_some(), here.get_ref().is_some());
            }
        }
        let wrapping = run(method, fail::new(6)).unwrap_err();
        let inner = wrapping.get_ref().unwrap().downcast_ref::<io::Error>();
        assert_eq!(inner.unwrap().raw_os_error(), Some(nix::libc::EPERM));
    });
}

#[test]
fn every_kind_of_io_error_arrives() {
    #[process]
    fn fail_with(how: Option<u16>) -> io::Result<()> {
        // A kind by itself has no code, also if it belongs to one. Not every kind can be named.
        Err(how.map_or(ErrorKind::Other, kind).into())
    }

    fn kind(code: u16) -> ErrorKind {
        const OTHERS: [ErrorKind; 3] = [
            ErrorKind::InvalidData,
            ErrorKind::UnexpectedEof,
            ErrorKind::WriteZero,
        ];
        match OTHERS.get(usize::from(code)) {
            Some(kind) => *kind,
            None => io::Error::from_raw_os_error(i32::from(code) - 2).kind(),
        }
    }

    for code in [None].into_iter().chain((0..140).map(Some)) {
        let expected = code.map_or(ErrorKind::Other, kind);
        let error = run(procession::StartMethod::ForkServer, fail_with::new(code)).unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (expected, None));
        assert_eq!(error.to_string(), expected.to_string());
    }
}

#[process]
fn open(path: &str) -> io::Result<File> {
    File::open(path)
}

#[process]
fn opened() -> Result<[File; 2], String> {
    let file = || File::open("/dev/zero").map_err(|error| error.to_string());
    Ok([file()?, file()?])
}

#[process]
fn numbers(fail: bool) -> Result<[u64; 100], [u8; 3]> {
    if fail { Err([1, 2, 3]) } else { Ok([9; 100]) }
}

#[test]
fn ok_may_be_what_an_output_alone_may_be() {
    under_each_method(|method| {
        let mut file = run(method, open::new("/dev/zero")).unwrap();
        file.read_exact(&mut [1; 100]).unwrap();
        let error = run(method, open::new("/nowhere")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for mut file in run(method, opened::new()).unwrap() {
            file.read_exact(&mut [0; 5]).unwrap();
        }
        assert_eq!(run(method, numbers::new(false)).unwrap(), [9; 100]);
        assert_eq!(run(method, numbers::new(true)).unwrap_err(), [1, 2, 3]);
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refused {
    Empty,
    Long { limit: usize },
}

#[process]
fn check(text: &str) -> Result<Vec<u8>, Refused> {
    match text.len() {
        0 => Err(Refused::Empty),
        1..1_000_000 => Ok(text.into()),
        _ => Err(Refused::Long { limit: 1_000_000 }),
    }
}

#[process]
fn either<T: Transfer, E: Transfer>(value: T, error: E, fail: bool) -> Result<T, E> {
    if fail { Err(error) } else { Ok(value) }
}

#[process]
fn whole<T: Transfer>(value: T) -> T {
    value
}

#[test]
fn err_that_serde_carries_arrives_equal() {
    under_each_method(|method| {
        assert_eq!(run(method, check::new("")), Err(Refused::Empty));
        let text = "x".repeat(999_999);
        assert_eq!(run(method, check::new(&text)).unwrap(), text.as_bytes());
        let text = "x".repeat(1_000_000);
        let limit = 1_000_000;
        assert_eq!(run(method, check::new(&text)), Err(Refused::Long { limit }));
        let value = || either::new((1, "a".to_owned()), Some(()), false);
        assert_eq!(run(method, value()), Ok((1, "a".to_owned())));
        assert_eq!(run(method, either::new(1, Some(()), true)), Err(Some(())));
        // A `Result` that generic code knows as a type only.
        let result = Err::<u8, _>(Refused::Empty);
        assert_eq!(run(method, whole::new(result)), Err(Refused::Empty));
    });
}

#[derive(Process)]
#[process(output = io::Result<u32>)]
struct Task {
    kind: u8,
}

impl Task {
    fn run(self) -> io::Result<u32> {
        assert_eq!(self.kind, 1);
        Err(ErrorKind::AddrInUse.into())
    }
}

#[test]
fn struct_may_return_an_io_error() {
    under_each_method(|method| {
        let error = run(method, Task { kind: 1 }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[process]
fn sum(lines: &[String]) -> anyhow::Result<i32> {
    let mut sum = 0;
    for line in lines {
        let number: i32 = line.parse().context("not a number")?;
        sum += number;
    }
    File::open("/nowhere").with_context(|| format!("no place\nfor {sum}"))?;
    Ok(sum)
}

#[test]
fn anyhow_error_arrives_with_its_context() {
    under_each_method(|method| {
        for lines in [&["x".to_owned()][..], &["1".to_owned()]] {
            let here = sum(lines).unwrap_err();
            let there = run(method, sum::new(lines)).unwrap_err();
            assert_eq!(format!("{there:#}"), format!("{here:#}"));
            assert_eq!(chain(&*there), chain(&*here));
            let until_backtrace = |error: &anyhow::Error| {
                let text = format!("{error:?}");
                text.split("Stack backtrace").next().map(str::to_owned)
            };
            assert_eq!(until_backtrace(&there), until_backtrace(&here));
        }
        // An I/O error is one, wherever it is in the chain.
        let error = run(method, sum::new(&[])).unwrap_err();
        let cause = error.root_cause().downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.kind(), ErrorKind::NotFound);
        assert_eq!(cause.raw_os_error(), Some(nix::libc::ENOENT));
    });
}

#[process]
fn boxed(how: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
    match how {
        0 => Err("a text".into()),
        1 => Err(io::Error::from(ErrorKind::NotFound).into()),
        _ => Err(Outer(Inner).into()),
    }
}

#[process]
fn boxed_alone(how: u32) -> Result<(), Box<dyn Error>> {
    boxed(how).map_err(|error| error as Box<dyn Error>)
}

#[test]
fn boxed_error_arrives_with_its_chain() {
    under_each_method(|method| {
        for how in 0..3 {
            let (here, there) = (boxed(how), run(method, boxed::new(how)));
            let (here, there) = (here.unwrap_err(), there.unwrap_err());
            assert_eq!(chain(&*there), chain(&*here));
            assert_eq!(format!("{there:?}"), format!("{here:?}"));
            let alone = run(method, boxed_alone::new(how)).unwrap_err();
            assert_eq!(chain(&*alone), chain(&*here));
        }
        let error = run(method, boxed_alone::new(1)).unwrap_err();
        let error = error.downcast::<io::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[process]
fn remote(how: u32) -> Result<u32, RemoteError> {
    match how {
        0 => Ok("x".parse::<u32>()?),
        1 => Err(boxed(2).unwrap_err())?,
        2 => Err(sum(&["x".to_owned()]).unwrap_err())?,
        3 => Err("a text")?,
        4 => Err(format!("text {how}").into()),
        5 => Err(RemoteError::of(&Outer(Inner))),
        6 => Ok(remote::new(1).spawn()?.join()??),
        _ => Err(io::Error::from(ErrorKind::NotFound))?,
    }
}

#[test]
fn remote_error_takes_every_error_and_prints_like_it() {
    under_each_method(|method| {
        for how in 0..=7 {
            let (here, there) = (remote(how), run(method, remote::new(how)));
            let (here, there) = (here.unwrap_err(), there.unwrap_err());
            assert_eq!(there.to_string(), here.to_string());
            assert_eq!(format!("{there:#}"), format!("{here:#}"));
            assert_eq!(format!("{there:?}"), format!("{here:?}"));
            assert_eq!(there.type_name(), here.type_name());
            assert_eq!(there.source().map(chain), here.source().map(chain));
        }
        let error = run(method, remote::new(0)).unwrap_err();
        assert_eq!(error.type_name(), std::any::type_name::<ParseIntError>());
        assert_eq!(
            format!("{error:#?}"),
            "ParseIntError { kind: InvalidDigit }"
        );
        let error = run(method, remote::new(1)).unwrap_err();
        let debug = "it cannot be opened\n\nCaused by:\n    the key\n    is lost";
        assert_eq!(format!("{error:?}"), debug);
        let io = io::Error::from(run(method, remote::new(7)).unwrap_err());
        assert_eq!(io.kind(), ErrorKind::NotFound);
    });
}

#[process]
fn report(to: &Sender<(u32, Option<RemoteError>)>) {
    to.send((1, Some(Outer(Inner).into()))).unwrap();
    to.send((2, None)).unwrap();
}

#[test]
fn remote_error_travels_in_other_types_and_messages() {
    under_each_method(|method| {
        let (sender, receiver) = queue(2).unwrap();
        let child = by(method).spawn(report::new(&sender)).unwrap();
        let (_, error) = receiver.recv().unwrap();
        assert_eq!(
            format!("{:#}", error.unwrap()),
            "it cannot be opened: the key\nis lost"
        );
        assert!(receiver.recv().unwrap().1.is_none());
        child.join().unwrap();
    });
}

#[test]
fn one_question_mark_is_for_the_process_and_one_for_the_function() {
    #[process]
    fn exit() -> anyhow::Result<()> {
        std::process::exit(3)
    }

    fn by_anyhow(lines: &[String]) -> anyhow::Result<i32> {
        let sum = sum::spawn(lines)?.join()??;
        Ok(sum)
    }

    fn by_box() -> Result<u32, Box<dyn Error>> {
        fail::spawn(0)?.join()??;
        boxed_alone::spawn(3)?.join()?.unwrap_err();
        Ok(remote::spawn(1)?.join()??)
    }

    fn by_ours() -> procession::Result<File> {
        Ok(open::spawn("/nowhere")?.join()??)
    }

    fn by_io() -> io::Result<u32> {
        remote::spawn(7)?.join()??;
        fail::spawn(0)?.join()?
    }

    fn exited() -> anyhow::Result<()> {
        exit::spawn()?.join()?
    }

    assert_eq!(
        format!("{:#}", by_anyhow(&["x".to_owned()]).unwrap_err()),
        "not a number: invalid digit found in string"
    );
    assert_eq!(by_box().unwrap_err().to_string(), "it cannot be opened");
    assert_eq!(
        by_ours().unwrap_err().raw_os_error(),
        Some(nix::libc::ENOENT)
    );
    assert_eq!(by_io().unwrap_err().kind(), ErrorKind::NotFound);
    let error = exited().unwrap_err();
    let error = error.downcast_ref::<procession::JoinError>().unwrap();
    assert_eq!(error.status().unwrap().code(), Some(3));
}

/// Its source is itself.
#[derive(Debug)]
struct Circle;

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round")
    }
}

impl Error for Circle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Circle)
    }
}

/// It has more to say than anyone can hear.
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("on änd ")?;
        }
    }
}

impl fmt::Debug for Endless {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl Error for Endless {}

#[process]
fn broken(endless: bool) -> Result<(), Box<dyn Error>> {
    if endless { Err(Endless)? } else { Err(Circle)? }
}

#[test]
fn broken_error_arrives_cut() {
    under_each_method(|method| {
        let error = run(method, broken::new(false)).unwrap_err();
        let said = chain(&*error);
        assert_eq!(said.len(), 64);
        assert!(said[..63].iter().all(|text| text == "round"));
        assert_eq!(said[63], "[the further causes are left out]");
        let error = run(method, broken::new(true)).unwrap_err().to_string();
        assert!(error.starts_with("on änd on änd "), "{error}");
        assert!(error.ends_with(" [..]"), "{error}");
        assert!((65_000..66_000).contains(&error.len()));
    });
}

#[test]
fn error_that_no_process_of_ours_sent_is_refused() {
    let form = |count: usize, text: &str| {
        let link = (text, None::<u8>, None::<u8>);
        serde_json::to_string(&("Type", (link, vec![link; count]))).unwrap()
    };
    let read = |form: String| serde_json::from_str::<RemoteError>(&form);
    assert_eq!(read(form(63, "no")).unwrap().chain().count(), 64);
    assert!(read(form(64, "no")).is_err());
    assert!(read(form(0, &"x".repeat(70_000))).is_err());
    let unknown = r#"["T", [["m", null, ["Novel", null, false]], []]]"#;
    let error = io::Error::from(read(unknown.to_owned()).unwrap());
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Other, "m".to_owned())
    );
}

#[test]
fn remote_error_becomes_an_error_of_the_crate() {
    #[process]
    fn parse(text: &str) -> Result<u32, RemoteError> {
        Ok(text.parse()?)
    }
    fn program(text: &str) -> procession::Result<u32> {
        Ok(parse::spawn(text)?.join()??)
    }
    assert_eq!(program("7").unwrap(), 7);
    let error = program("seven").unwrap_err();
    assert_eq!(error.kind(), procession::ErrorKind::Returned);
    assert_eq!(error.to_string(), "invalid digit found in string");
}
