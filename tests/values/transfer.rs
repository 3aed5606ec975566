//! What travels between processes, and in which shape it arrives.

#![allow(
    clippy::large_types_passed_by_value,
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "what is passed, and how much of it, is what is tested"
)]

use procession::{Fd, Process, StartMethod, Transfer, process};
use procession_tests::{by, spawn, under_each_method};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ffi::{CStr, OsStr},
    fs::File,
    io::{self, Write},
    net::IpAddr,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::Duration,
};

#[process]
fn echo<T: Transfer>(value: T) -> T {
    value
}

fn there_and_back<T: Transfer + PartialEq + std::fmt::Debug + Clone>(
    method: StartMethod,
    value: T,
) {
    let child = spawn(method, echo::new(value.clone()));
    assert_eq!(child.join().unwrap(), value);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    #[serde(rename = "other", skip_serializing_if = "Option::is_none", default)]
    maybe: Option<u8>,
    #[serde(default)]
    filled: Vec<i8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Pair(u8, u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Unit,
    One(u128),
    Named { a: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    A { x: u8 },
    B { y: String },
}

#[test]
fn every_serde_attribute_travels() {
    under_each_method(|method| {
        let flat = |maybe| Flat {
            name: "n".into(),
            inner: Inner {
                maybe,
                filled: vec![-1, 2],
            },
            rest: BTreeMap::from([("a".into(), 1), ("b".into(), 2)]),
        };
        there_and_back(method, (flat(Some(3)), flat(None)));
        there_and_back(
            method,
            vec![
                Untagged::Number(-5),
                Untagged::Text("t".into()),
                Untagged::Pair(1, 2),
            ],
        );
        there_and_back(
            method,
            vec![
                Adjacent::Unit,
                Adjacent::One(u128::MAX),
                Adjacent::Named { a: 0.5 },
            ],
        );
        there_and_back(
            method,
            vec![Internal::A { x: 1 }, Internal::B { y: "y".into() }],
        );
    });
}

#[test]
fn every_kind_of_value_travels() {
    under_each_method(|method| {
        there_and_back(
            method,
            (u128::MAX, i128::MIN, u64::MAX, i64::MIN, 'ß', true, ()),
        );
        there_and_back(method, (f64::MIN_POSITIVE, f32::MAX, f64::INFINITY));
        there_and_back(
            method,
            (
                Some(Some(1)),
                None::<u8>,
                Ok::<u8, String>(1),
                Err::<u8, String>("e".into()),
            ),
        );
        there_and_back(
            method,
            HashMap::from([((1, 'a'), vec!["x".to_owned()]), ((2, 'b'), vec![])]),
        );
        there_and_back(method, BTreeMap::from([(vec![1_u8], 1), (vec![2], 2)]));
        there_and_back(
            method,
            (
                Duration::from_nanos(1),
                IpAddr::from([127, 0, 0, 1]),
                "/tmp".parse::<std::path::PathBuf>().unwrap(),
            ),
        );
        there_and_back(method, "x".repeat(3_000_000));
        let child = by(method).spawn(echo::new(f64::NAN));
        let nan: f64 = child.unwrap().join().unwrap();
        assert!(nan.is_nan());
    });
}

#[test]
fn references_are_lent_to_the_child() {
    type Name<'a> = &'a str;
    #[process]
    fn count<'a>(
        text: &str,
        numbers: &[f64],
        path: &Path,
        os: &OsStr,
        c: &CStr,
        pair: &(u8, String),
        alias: Name<'_>,
        named: &'a [u8; 40],
        fixed: &'static str,
        cow: Cow<'a, str>,
    ) -> (usize, Vec<u8>) {
        let sum = text.len()
            + numbers.len()
            + pair.1.len()
            + alias.len()
            + named.len()
            + fixed.len()
            + cow.len();
        let bytes = [path.as_os_str().as_bytes(), os.as_bytes(), c.to_bytes()].concat();
        (sum, bytes)
    }
    under_each_method(|method| {
        let odd = OsStr::from_bytes(b"\xff\xfe");
        let pair = (1, "123".to_owned());
        let process = count::new(
            "12",
            &[1.0, 2.0],
            Path::new(odd),
            odd,
            c"c",
            &pair,
            "1234",
            &[0; 40],
            "12345",
            Cow::Borrowed("x"),
        );
        let child = spawn(method, process);
        assert_eq!(
            child.join().unwrap(),
            (2 + 2 + 3 + 4 + 40 + 5 + 1, b"\xff\xfe\xff\xfec".to_vec())
        );
    });
}

#[test]
fn lent_value_is_dropped_when_the_function_has_run() {
    #[derive(Serialize, Deserialize)]
    struct Loud(Fd<io::PipeWriter>);
    impl Drop for Loud {
        fn drop(&mut self) {
            let word: &[u8] = if procession::parent().is_some() {
                b"dropped in the child"
            } else {
                b""
            };
            self.0.write_all(word).unwrap();
        }
    }
    #[process]
    fn borrow(loud: &Loud) {
        let _ = loud;
    }
    let (reader, writer) = io::pipe().unwrap();
    let loud = Loud(Fd(writer));
    borrow::spawn(&loud).unwrap().join().unwrap();
    drop(loud);
    assert_eq!(
        procession_tests::read_to_end(reader),
        "dropped in the child"
    );
}

#[test]
fn arrays_of_any_length_travel() {
    #[process]
    fn turn(small: [u8; 3], large: [u64; 100], lent: &[i32; 50], files: [File; 2]) -> [u64; 100] {
        assert_eq!(files.map(|file| file.metadata().unwrap().len()), [0, 0]);
        let mut turned = large;
        turned.reverse();
        turned[0] += u64::from(small[2]) + lent.len() as u64;
        turned
    }
    let large = std::array::from_fn(|index| index as u64);
    let null = || File::open("/dev/null").unwrap();
    let turned = turn::spawn([1, 2, 3], large, &[7; 50], [null(), null()])
        .unwrap()
        .join()
        .unwrap();
    assert_eq!((turned[0], turned[1], turned[99]), (99 + 3 + 50, 98, 0));
}

#[test]
fn files_inside_other_types_travel() {
    #[derive(Serialize, Deserialize)]
    struct Job {
        files: Vec<Fd<File>>,
        log: Option<Fd<io::PipeWriter>>,
    }
    #[process]
    fn run(job: Job) -> HashMap<String, Fd<File>> {
        let mut log = job.log.unwrap();
        writeln!(log, "{} files", job.files.len()).unwrap();
        job.files
            .into_iter()
            .enumerate()
            .map(|(index, file)| (index.to_string(), file))
            .collect()
    }
    let (reader, writer) = io::pipe().unwrap();
    // More than one message can carry.
    let files = (0..300)
        .map(|_| Fd(File::open("/dev/null").unwrap()))
        .collect();
    let child = run::spawn(Job {
        files,
        log: Some(Fd(writer)),
    })
    .unwrap();
    assert_eq!(procession_tests::read_to_end(reader), "300 files\n");
    assert_eq!(child.join().unwrap().len(), 300);
}

#[test]
fn descriptor_outside_of_a_message_is_an_error() {
    let file = Fd(File::open("/dev/null").unwrap());
    let error = serde_json::to_string(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a descriptor can be sent to another process only"
    );
    assert!(serde_json::from_str::<Fd<File>>("0").is_err());
}

#[derive(Process)]
#[process(output = String)]
struct Generic<'a, T: Transfer + ToString, const N: usize>
where
    T: Clone,
{
    items: [T; N],
    suffix: &'a str,
}

impl<T: Transfer + ToString + Clone, const N: usize> Generic<'_, T, N> {
    fn run(&self) -> String {
        self.items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("-")
            + self.suffix
    }
}

#[derive(Serialize, Deserialize)]
struct Labelled<T> {
    label: String,
    value: T,
}

/// Takes what can be made of a type that can be sent, which needs no other bound.
#[process]
fn assemble<T: Transfer + Clone>(
    all: Vec<T>,
    lent: &[T],
    maybe: Option<T>,
    (one, map): (T, HashMap<String, T>),
    labelled: Labelled<T>,
) -> Vec<Labelled<T>> {
    let label = labelled.label;
    let rest = [one, labelled.value].into_iter().chain(map.into_values());
    let values = all.into_iter().chain(lent.to_vec()).chain(maybe);
    values
        .chain(rest)
        .map(|value| Labelled {
            label: label.clone(),
            value,
        })
        .collect()
}

#[test]
fn generic_type_needs_no_bound_for_what_is_made_of_it() {
    under_each_method(|method| {
        let map = HashMap::from([("six".to_owned(), 6)]);
        let labelled = Labelled {
            label: "n".to_owned(),
            value: 5,
        };
        let assemble = assemble::new(vec![1], &[2], Some(3), (4, map), labelled);
        let child = spawn(method, assemble);
        let values = child.join().unwrap();
        assert!(values.iter().all(|labelled| labelled.label == "n"));
        let values: Vec<i32> = values.into_iter().map(|labelled| labelled.value).collect();
        assert_eq!(values, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn generic_processes_need_no_list_of_their_instances() {
    under_each_method(|method| {
        let start = || by(method);
        let child = start()
            .spawn(Generic {
                items: [1, 2, 3],
                suffix: "!",
            })
            .unwrap();
        assert_eq!(child.join().unwrap(), "1-2-3!");
        let child = start()
            .spawn(Generic {
                items: ['a', 'b'],
                suffix: "?",
            })
            .unwrap();
        assert_eq!(child.join().unwrap(), "a-b?");
    });
}

/// Arrays that are alike in every element would hide a change of their order.
fn grid<const N: usize, const M: usize, const L: usize>() -> [[[u16; N]; M]; L] {
    let mut next = 0..;
    std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| next.next().unwrap())))
}

#[test]
fn arrays_of_numbers_have_any_depth() {
    type Deep<'a> = &'a [[[u16; 40]; 3]; 2];

    #[process]
    fn values(cube: [[[u16; 4]; 4]; 4], long: [[[u16; 40]; 3]; 2]) -> [[[u16; 4]; 4]; 4] {
        assert!(long == grid());
        cube
    }
    #[process]
    fn output(deep: [[[[char; 2]; 33]; 1]; 2]) -> Result<[[[[char; 2]; 33]; 1]; 2], u8> {
        if deep[0] == deep[1] {
            return Err(1);
        }
        Ok(deep)
    }
    #[process]
    fn references(flat: &[u8; 64], rows: &[[f64; 64]; 2], deep: Deep<'_>) -> [[[u16; 40]; 3]; 2] {
        assert!(flat.iter().eq(&[7; 64]) && rows[1][63].is_nan());
        *deep
    }
    #[process]
    fn slices(rows: &[[u16; 40]], cubes: &'static [[[u16; 4]; 40]], none: &[[u8; 0]]) -> usize {
        assert!(rows == grid::<40, 3, 1>()[0] && *cubes == grid::<4, 40, 2>());
        none.len()
    }
    under_each_method(|method| {
        assert_eq!(
            spawn(method, values::new(grid(), grid())).join().unwrap(),
            grid()
        );
        let deep = [[[['a', 'b']; 33]], [[['\u{10ffff}', 'd']; 33]]];
        assert_eq!(spawn(method, output::new(deep)).join().unwrap(), Ok(deep));
        let child = spawn(
            method,
            references::new(&[7; 64], &[[f64::NAN; 64]; 2], &grid()),
        );
        assert!(child.join().unwrap() == grid());
        let cubes = Box::leak(Box::new(grid::<4, 40, 2>()));
        let child = spawn(method, slices::new(&grid::<40, 3, 1>()[0], cubes, &[[]; 3]));
        assert_eq!(child.join().unwrap(), 3);
    });
}

#[test]
fn arrays_of_arrays_have_any_length() {
    #[process]
    fn rows(numbers: [[u32; 100]; 50], texts: [[String; 33]; 2]) -> [[String; 40]; 2] {
        assert_eq!((numbers[0][0], numbers[49][99]), (0, 4999));
        assert_eq!(texts[1][32], "1.32");
        std::array::from_fn(|row| std::array::from_fn(|column| format!("{row}:{column}")))
    }
    #[process]
    fn echo<const N: usize>(grid: [[u16; N]; 2]) -> [[u16; N]; 2] {
        grid
    }
    under_each_method(|method| {
        let mut next = 0..;
        let numbers = std::array::from_fn(|_| std::array::from_fn(|_| next.next().unwrap()));
        let texts =
            std::array::from_fn(|row| std::array::from_fn(|column| format!("{row}.{column}")));
        let texts = spawn(method, rows::new(numbers, texts)).join().unwrap();
        assert_eq!((&*texts[0][39], &*texts[1][0]), ("0:39", "1:0"));
        let grid = [[7; 40], [8; 40]];
        assert_eq!(spawn(method, echo::new(grid)).join().unwrap(), grid);
        let nothing: [[u16; 0]; 2] = [[], []];
        assert_eq!(spawn(method, echo::new(nothing)).join().unwrap(), nothing);
    });
}
