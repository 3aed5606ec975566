//! Every form of a process compiles, is called, built, written as a literal and spawned.

#![allow(
    clippy::multiple_bound_locations,
    clippy::needless_lifetimes,
    clippy::needless_pass_by_value,
    clippy::ptr_arg,
    clippy::too_many_arguments,
    clippy::toplevel_ref_arg,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    unreachable_pub,
    reason = "all forms are tested, also those that are better written otherwise"
)]

use procession::{Process, Transfer, process};
use std::{
    borrow::Cow, collections::BTreeMap, ffi::CStr, fs::File, marker::PhantomData, path::Path,
    time::Duration,
};

/// Counts.
#[process]
fn task(name: &str, seconds: u64) -> usize {
    name.len() + usize::try_from(seconds).unwrap()
}

fn has_output<O>(_: &impl Process<Output = O>) {}

#[test]
fn function_is_called_built_and_written_as_a_literal() {
    assert_eq!(task("pl", 2), 4);
    assert_eq!(task::new("pl", 2).run(), 4);
    assert_eq!(
        task {
            seconds: 2,
            name: "pl"
        }
        .run(),
        4
    );
    let task { name, seconds } = task::new("pl", 2);
    assert_eq!((name, seconds), ("pl", 2));
    has_output::<usize>(&task::new("pl", 2));
}

#[process]
fn nothing() {}

#[test]
fn no_parameters() {
    nothing();
    nothing::new().run();
    nothing {}.run();
}

#[process]
fn references<'a>(
    text: &str,
    slice: &[u8],
    path: &Path,
    c: &CStr,
    whole: &BTreeMap<String, u8>,
    array: &[u16; 40],
    forever: &'static str,
    named: &'a str,
    again: &'a str,
    cow: Cow<'_, str>,
) -> usize {
    let shown = path.as_os_str().len() + c.count_bytes() + whole.len();
    let texts = text.len() + slice.len() + array.len() + forever.len();
    shown + texts + named.len() + again.len() + cow.len()
}

/// The process with all of its references.
macro_rules! references {
    ($path:expr, $map:expr) => {
        references {
            text: "t",
            slice: &[1],
            path: Path::new($path),
            c: c"c",
            whole: $map,
            array: &[0; 40],
            forever: "f",
            named: "n",
            again: $path,
            cow: Cow::Borrowed("b"),
        }
    };
}

#[test]
fn reference_parameters() {
    let (map, path) = (BTreeMap::from([("k".to_owned(), 1)]), String::from("p"));
    let process = references!(&path, &map);
    assert_eq!(process.run(), 49);
}

type Name<'a> = &'a str;
type Key = [u8; 64];

#[process]
fn aliases(name: Name<'_>, key: Key, keys: &Key) -> Key {
    assert_eq!((name, key.len()), ("n", keys.len()));
    key
}

#[test]
fn aliases_of_references_and_arrays() {
    assert_eq!(
        aliases {
            name: "n",
            key: [1; 64],
            keys: &[2; 64]
        }
        .run(),
        [1; 64]
    );
}

#[process]
fn descriptors(file: File, lent: &File) -> File {
    drop(lent.metadata());
    file
}

#[test]
fn files() {
    let open = || File::open("/dev/null").unwrap();
    descriptors {
        file: open(),
        lent: &open(),
    }
    .run();
}

#[process]
fn patterns(
    mut n: u32,
    (a, b): (i32, i32),
    _: u8,
    whole @ (c, _): (u8, u8),
    ref lent: String,
    r#type: u8,
) -> String {
    n += 1;
    format!("{n} {a} {b} {whole:?} {c} {lent} {type}")
}

#[process]
fn named_patterns(mut n: u32, whole @ (c, _): (u8, u8), r#type: u8) -> u32 {
    n += u32::from(whole.1 + c + r#type);
    n
}

#[test]
fn pattern_parameters() {
    let text = patterns(1, (2, 3), 4, (5, 6), "s".into(), 7);
    assert_eq!(text, "2 2 3 (5, 6) 5 s 7");
    assert_eq!(
        patterns::new(1, (2, 3), 4, (5, 6), "s".into(), 7).run(),
        text
    );
    assert_eq!(
        named_patterns {
            n: 1,
            whole: (1, 2),
            r#type: 1
        }
        .run(),
        5
    );
}

#[process]
fn r#match(r#ref: &str) -> usize {
    r#ref.len()
}

#[test]
fn raw_identifiers() {
    assert_eq!(r#match("ab"), 2);
    assert_eq!(r#match { r#ref: "ab" }.run(), 2);
}

#[process]
fn like(like: u8, new: u8, spawn: u8, run: u8) -> u8 {
    like + new + spawn + run
}

#[test]
fn parameters_named_like_what_is_generated() {
    assert_eq!(
        like {
            like: 1,
            new: 2,
            spawn: 3,
            run: 4
        }
        .run(),
        10
    );
    assert_eq!(like::new(1, 2, 3, 4).run(), 10);
}

#[process]
fn never(code: i32) -> ! {
    panic!("{code}")
}

#[test]
fn function_that_never_returns() {
    let process = never { code: 3 };
    has_output::<()>(&process);
    let never_returns: fn(never) -> ! = never::run;
    std::panic::catch_unwind(|| never_returns(process)).unwrap_err();
}

#[test]
fn function_in_a_function() {
    const BASE: u8 = 1;

    /// Inner.
    #[process]
    fn inner<T: Transfer + Into<u8>>(n: T) -> u8 {
        n.into() + BASE
    }

    assert_eq!(inner(1), 2);
    assert_eq!(inner { n: 1 }.run(), 2);
}

mod module {
    use super::process;

    #[process]
    pub fn open(n: u8) -> u8 {
        n
    }

    #[process]
    pub(crate) fn half(n: u8) -> u8 {
        n
    }

    pub mod inner {
        #[procession::process]
        pub(in super::super) fn narrow(n: u8) -> u8 {
            n
        }
    }
}

#[test]
fn one_import_brings_both() {
    use module::{half, inner::narrow, open as renamed};
    assert_eq!(renamed(1) + renamed { n: 1 }.run(), 2);
    assert_eq!(half(1) + half { n: 1 }.run(), 2);
    assert_eq!(narrow(1) + narrow { n: 1 }.run(), 2);
}

const LIMIT: Duration = Duration::from_secs(5);

#[process(
    name = "worker",
    daemon,
    start_method = "spawn",
    timeout = LIMIT,
    memory_limit = 64 << 20,
    cpu_time_limit = Duration::from_secs(1),
    open_files_limit = 64,
    nice = -1,
    crate = ::procession,
)]
fn settings() {}

#[process(daemon = true)]
fn daemon() {}

#[derive(Process)]
#[process(name = "s", daemon = false, output = BTreeMap<u8, u8>)]
#[process(timeout = LIMIT)]
struct Settings;

impl Settings {
    fn run(self) -> BTreeMap<u8, u8> {
        BTreeMap::new()
    }
}

#[test]
fn attribute_arguments() {
    settings::new().run();
    daemon {}.run();
    assert!(Settings.run().is_empty());
}

macro_rules! declare {
    ($name:ident, $argument:ident: $ty:ty, $process:literal, $body:block) => {
        #[process(name = $process)]
        fn $name($argument: $ty) -> $ty $body
    };
}

declare!(declared, n: u8, "declared", { n - 1 });

/// A type of a macro that is given a lifetime, which has the name of the function.
macro_rules! reference {
    ($lifetime:lifetime) => {
        &$lifetime str
    };
}

#[process]
fn named<'named>(text: reference!('named)) -> usize {
    text.len()
}

#[test]
fn function_from_a_macro() {
    assert_eq!(named::spawn("ab").unwrap().join().unwrap(), 2);
    assert_eq!(declared { n: 2 }.run(), 1);
}

mod elsewhere {
    // The crate has no other name here.
    mod procession {}

    procession_tests::declare_process!(adds(a: &[u8], b: u8) -> usize {
        a.len() + usize::from(b)
    });

    procession_tests::declare_process!(Doubles { number: u64 });

    impl Doubles<'_> {
        fn run(self) -> u64 {
            self.number * 2
        }
    }

    #[test]
    fn crate_has_the_path_of_the_macro() {
        use ::procession::Process as _;
        assert_eq!(adds::spawn(&[1], 2).unwrap().join().unwrap(), 3);
        assert_eq!(adds { a: &[], b: 2 }.run(), 2);
        let doubles = Doubles { number: &4 };
        assert_eq!(doubles.spawn().unwrap().join().unwrap(), 8);
    }
}

mod worker {}

#[process(struct = Worker, name = "w")]
fn worker(name: &str) -> usize {
    name.len()
}

#[process(struct = Wide)]
fn u32(number: u32) -> u32 {
    number
}

#[process(struct = unnamed)]
fn named_after_the_function() {}

#[test]
fn struct_has_the_name_that_was_chosen() {
    assert_eq!(worker("a") + Worker { name: "ab" }.run(), 3);
    assert_eq!(format!("{:?}", Worker::new("a")), r#"Worker { name: "a" }"#);
    assert_eq!(Worker::spawn("abc").unwrap().join().unwrap(), 3);
    assert_eq!(Wide::new(u32(3)).spawn().unwrap().join().unwrap(), 3);
    let child = unnamed::spawn().unwrap();
    assert_eq!(child.name(), "named_after_the_function-1");
}

#[process]
fn copied<'a, 'b, T: Transfer>(
    text: &'a str,
    again: &'b str,
    cows: &'a Cow<'b, str>,
    forever: &'static str,
    lent: &'a T,
    other: &'b T,
    owned: T,
    (a, _): (u8, u8),
    r#type: Option<Vec<T>>,
) -> usize {
    drop((lent, other, owned, r#type));
    text.len() + again.len() + cows.len() + forever.len() + usize::from(a)
}

/// Has neither trait, and what no impl may be lost for.
#[process]
fn not_copied<'a, T: Transfer + 'a>(file: File, lent: &'a File, value: T, name: &str) -> usize
where
    &'a T: Clone + std::fmt::Debug,
{
    drop((file, lent, value));
    name.len()
}

#[process]
fn file_only(file: File, name: &str) -> usize {
    drop(file);
    name.len()
}

#[process]
fn marked<'a, T: 'a>() -> usize {
    size_of::<&'a T>()
}

#[test]
fn process_is_copied_and_shown_if_its_parameters_are() {
    let cow = Cow::Borrowed("c");
    let process = copied::new("t", "a", &cow, "f", &1, &2, 3, (4, 5), None);
    let copy = process.clone();
    assert_eq!(
        format!("{copy:?}"),
        r#"copied { text: "t", again: "a", cows: "c", forever: "f", lent: 1, other: 2, owned: 3, _: (4, 5), type: None }"#
    );
    assert_eq!(copy.spawn().unwrap().join().unwrap(), process.run());
    assert_eq!(format!("{:?}", marked::<u8>::new().clone()), "marked");
    let open = || File::open("/dev/null").unwrap();
    let shown = format!("{:?}", file_only::new(open(), "n"));
    assert!(shown.starts_with("file_only { file: File"), "{shown}");
    assert_eq!(not_copied::new(open(), &open(), 1, "n").run(), 1);
}

#[process]
#[cfg(not(test))]
fn conditional(missing: Missing) {}

#[process]
#[cfg_attr(test, cfg(test), deprecated)]
fn conditional(n: u8) -> u8 {
    n
}

#[test]
#[allow(deprecated, reason = "so that the attribute is copied")]
fn cfg_is_copied() {
    assert_eq!(conditional { n: 1 }.run(), 1);
}

/// The type of a marker that declares a lifetime itself.
trait Reads<'text> {}

#[process]
fn declaring(
    _reads: PhantomData<dyn for<'any> Reads<'any>>,
    _calls: PhantomData<for<'any> fn(&'any str) -> &'any str>,
    text: &str,
) -> usize {
    text.len()
}

#[derive(Process)]
#[process(output = usize)]
struct Declaring<'a> {
    reads: PhantomData<dyn for<'any> Reads<'any>>,
    text: &'a str,
}

impl Declaring<'_> {
    fn run(self) -> usize {
        _ = self.reads;
        self.text.len()
    }
}

#[test]
fn types_may_declare_lifetimes() {
    let process = declaring::new(PhantomData, PhantomData, "ab");
    assert_eq!(process.clone().spawn().unwrap().join().unwrap(), 2);
    let (reads, text) = (PhantomData, "abc");
    let process = Declaring { reads, text };
    assert_eq!(process.spawn().unwrap().join().unwrap(), 3);
}

#[process]
fn phantoms(_marker: PhantomData<fn(&str) -> &str>, n: u8) -> u8 {
    n
}

#[test]
fn types_that_only_mention_references() {
    assert_eq!(phantoms::new(PhantomData, 1).run(), 1);
}

#[test]
fn every_form_is_spawned() -> Result<(), Box<dyn std::error::Error>> {
    let path = String::from("p");
    let map = BTreeMap::from([("k".to_owned(), 1)]);
    let process = references!(&path, &map);
    assert_eq!(process.spawn()?.join()?, 49);
    assert_eq!(task::spawn("pl", 2)?.join()?, 4);
    nothing {}.spawn()?.join()?;
    assert_eq!(aliases::spawn("n", [1; 64], &[2; 64])?.join()?, [1; 64]);
    let file = descriptors::spawn(File::open("/dev/null")?, &File::open("/dev/null")?)?.join()?;
    assert!(!file.metadata()?.is_file());
    let text = patterns::spawn(1, (2, 3), 4, (5, 6), "s".into(), 7)?.join()?;
    assert_eq!(text, "2 2 3 (5, 6) 5 s 7");
    assert_eq!(
        named_patterns {
            n: 1,
            whole: (1, 2),
            r#type: 1
        }
        .spawn()?
        .join()?,
        5
    );
    assert_eq!(r#match::spawn("ab")?.name(), "match-1");
    assert_eq!(like::spawn(1, 2, 3, 4)?.join()?, 10);
    let error = never::spawn(3)?.join().unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "3");
    assert_eq!(module::inner::narrow::spawn(1)?.join()?, 1);
    let child = settings::spawn()?;
    assert_eq!((child.name(), child.is_daemon()), ("worker", true));
    child.join()?;
    let child = Settings.spawn()?;
    assert_eq!((child.name(), child.is_daemon()), ("s", false));
    assert!(child.join()?.is_empty());
    assert_eq!(declared::spawn(2)?.join()?, 1);
    assert_eq!(phantoms::spawn(PhantomData, 1)?.join()?, 1);
    Ok(())
}

#[test]
fn names_of_parameters_hide_nothing() {
    #[process]
    fn task(sent: &str, any0: &str, any: &str, held: &str) -> usize {
        sent.len() + any0.len() + any.len() + held.len()
    }
    #[process]
    #[allow(
        clippy::just_underscores_and_digits,
        reason = "the macro makes such names"
    )]
    fn numbered(__1: u8, _: u8, (a, b): (u8, u8), __2: u8) -> u8 {
        __1 + a + b + __2
    }
    let process = task::new("a", "b", "c", "d");
    assert_eq!(process.clone().spawn().unwrap().join().unwrap(), 4);
    assert!(format!("{process:?}").contains("any0: \"b\""));
    assert_eq!(
        numbered::spawn(1, 9, (2, 3), 4).unwrap().join().unwrap(),
        10
    );
}
