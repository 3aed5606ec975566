//! Numbers and texts in bulk: wherever they stand in a value, they arrive as they were.

#![allow(
    clippy::needless_pass_by_value,
    clippy::large_stack_arrays,
    clippy::large_types_passed_by_value,
    reason = "what is passed, and how much of it, is what is tested"
)]

use procession::{Bulk, Fd, StartMethod, Transfer, process};
use procession_tests::{DEADLINE, refuse, run, spawn, under_each_method, within};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    fs::{self, File},
    sync::Arc,
};

/// What stands among the bytes of a message at most, what does not, and what does not fit into a
/// socket.
const LENGTHS: [usize; 6] = [0, 1, 31, 65_536, 65_537, 3_000_000];

#[process]
fn echo<T: Transfer>(value: T) -> T {
    value
}

fn there_and_back<T>(method: StartMethod, value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Clone,
{
    let back = run(method, echo::new(value.clone()));
    // Not `assert_eq!`, which would print it.
    assert!(back == value, "{}", std::any::type_name::<T>());
}

/// Numbers whose bytes make about `length` bytes, each of another value.
fn numbers<N: TryFrom<usize>>(length: usize) -> Vec<N> {
    (0..length.div_ceil(size_of::<N>()))
        .map_while(|index| N::try_from(index % 101).ok())
        .collect()
}

fn floats(length: usize) -> Vec<f64> {
    let mut floats: Vec<f64> = numbers::<i32>(length / 2)
        .into_iter()
        .map(f64::from)
        .collect();
    for float in &mut floats {
        *float /= -7.0;
    }
    floats
}

#[test]
fn vectors_of_every_number_arrive() {
    under_each_method(|method| {
        for length in LENGTHS {
            there_and_back(
                method,
                (
                    (numbers::<u8>(length), numbers::<i8>(length)),
                    (numbers::<u16>(length), numbers::<i16>(length)),
                    (numbers::<u32>(length), numbers::<i32>(length)),
                    (numbers::<u64>(length), numbers::<i64>(length)),
                    (numbers::<u128>(length), numbers::<i128>(length)),
                    (floats(length), numbers::<usize>(length)),
                ),
            );
            there_and_back(method, numbers::<u8>(length));
            there_and_back(method, numbers::<u128>(length));
            there_and_back(method, floats(length));
            there_and_back(method, "ä".repeat(length / 2));
        }
    });
}

#[test]
fn floats_keep_every_bit() {
    #[process]
    fn bits(floats: &[f32]) -> Vec<u32> {
        floats.iter().map(|float| float.to_bits()).collect()
    }
    under_each_method(|method| {
        for length in [1, 40_000] {
            let patterns = [0x8000_0000, 0x7fc0_0001, 0xffff_ffff, 1, 0x7f80_0000];
            let wanted: Vec<u32> = patterns.into_iter().cycle().take(length).collect();
            let floats: Vec<f32> = wanted.iter().map(|bits| f32::from_bits(*bits)).collect();
            assert!(run(method, bits::new(&floats)) == wanted);
        }
    });
}

#[test]
fn references_and_arrays_arrive() {
    #[process]
    fn sums(bytes: &[u8], floats: &[f32], text: &str, array: &[u64; 9_000]) -> (u64, f32, usize) {
        let bytes = bytes.iter().copied().map(u64::from).sum::<u64>();
        (
            bytes + array.iter().sum::<u64>(),
            floats.iter().sum(),
            text.len(),
        )
    }
    #[process]
    fn turn(mut array: [i16; 33_000]) -> [i16; 33_000] {
        array.reverse();
        array
    }
    under_each_method(|method| {
        let (bytes, text) = (vec![1_u8; 1_000_000], "ab".repeat(50_000));
        let sums = sums::new(&bytes, &[0.5; 100_000], &text, &[2; 9_000]);
        assert_eq!(run(method, sums), (1_018_000, 50_000.0, 100_000));
        let array = std::array::from_fn(|index| i16::try_from(index % 1000).unwrap());
        let mut turned = run(method, turn::new(array));
        turned.reverse();
        assert!(turned == array);
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent(Vec<f64>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper<T> {
    label: String,
    inner: T,
}

/// As serde does it, where it is asked to do it for shared owners.
#[derive(Clone, PartialEq)]
struct Shared(Arc<[f64]>);

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (*self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<[f64]>::deserialize(deserializer).map(|numbers| Self(numbers.into()))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    One(Vec<u16>),
    Two(Vec<u8>, Box<Shape>),
    Named { points: Vec<f64>, name: String },
}

#[test]
fn every_owner_and_every_depth_arrives() {
    under_each_method(|method| {
        for length in [3, 200_000] {
            let (bytes, floats, text) = (numbers::<u8>(length), floats(length), "x".repeat(length));
            there_and_back(method, Some(floats.clone()));
            there_and_back(method, Some(Some(bytes.clone())));
            there_and_back(method, floats.clone().into_boxed_slice());
            there_and_back(method, Shared(floats[..].into()));
            there_and_back(method, Some(Shared(floats[..].into())));
            there_and_back(method, Box::new(Box::new(floats.clone())));
            there_and_back(method, Cow::<'static, [u8]>::Owned(bytes.clone()));
            there_and_back(method, Cow::<'static, str>::Owned(text.clone()));
            there_and_back(method, ByteBuf::from(bytes.clone()));
            there_and_back(
                method,
                Wrapper {
                    label: text.clone(),
                    inner: ByteBuf::from(bytes.clone()),
                },
            );
            there_and_back(method, bytes.iter().copied().collect::<VecDeque<u8>>());
            there_and_back(method, (0..length).collect::<BTreeSet<usize>>());
            there_and_back(
                method,
                (Transparent(floats.clone()), Newtype(bytes.clone())),
            );
            there_and_back(
                method,
                Wrapper {
                    label: text.clone(),
                    inner: Newtype(Some(floats.clone())),
                },
            );
            there_and_back(
                method,
                vec![
                    Shape::Unit,
                    Shape::One(numbers(length)),
                    Shape::Two(bytes.clone(), Box::new(Shape::One(numbers(length)))),
                    Shape::Named {
                        points: floats.clone(),
                        name: text.clone(),
                    },
                ],
            );
            there_and_back(method, vec![floats.clone(), Vec::new(), floats.clone()]);
            there_and_back(
                method,
                BTreeMap::from([(text.clone(), bytes.clone()), (String::new(), Vec::new())]),
            );
            there_and_back(
                method,
                BTreeMap::from([(bytes.clone(), Ok::<_, String>(floats.clone()))]),
            );
            let points = vec![[1.5_f32, -2.5, 3.5]; length];
            there_and_back(method, Bulk(points.clone()));
            there_and_back(method, (Some(Bulk(vec![[1_u8; 5]; length])), Bulk(points)));
            // None of these is bulk.
            there_and_back(
                method,
                (vec![true; length], vec!['ä'; length], vec![(); length]),
            );
        }
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Vec<i64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    #[serde(rename = "other", skip_serializing_if = "Vec::is_empty", default)]
    maybe: Vec<f64>,
    #[serde(default)]
    bytes: ByteBuf,
    text: String,
    option: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Text(String),
    Floats(Vec<f64>),
    Named { points: Vec<u16> },
    Nested(Vec<Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Points {
        points: Vec<f64>,
        #[serde(with = "serde_bytes")]
        raw: Vec<u8>,
    },
    Inner(Inner),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    One(Vec<u128>),
    Named { a: Vec<f64> },
    Pair(Vec<u8>, String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Odd {
    #[serde(serialize_with = "as_halves", deserialize_with = "from_halves")]
    doubled: Vec<u32>,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    #[serde(skip)]
    skipped: Vec<u8>,
    big: u128,
    negative: i128,
    converted: Converted,
}

fn as_halves<S: Serializer>(numbers: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    // These are gone when this returns.
    let halves: Vec<u32> = numbers.iter().map(|number| number / 2).collect();
    halves.serialize(serializer)
}

fn from_halves<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    struct Doubling;
    /// Makes the type that serde's own visitor makes, and does something else.
    impl<'de> serde::de::Visitor<'de> for Doubling {
        type Value = Vec<u32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("halves")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u32>, A::Error> {
            let mut numbers = Vec::new();
            while let Some(half) = seq.next_element::<u32>()? {
                numbers.push(half * 2);
            }
            Ok(numbers)
        }
    }
    deserializer.deserialize_seq(Doubling)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<i16>", into = "Vec<i16>")]
struct Converted(VecDeque<i16>);

impl From<Vec<i16>> for Converted {
    fn from(numbers: Vec<i16>) -> Self {
        Self(numbers.into())
    }
}

impl From<Converted> for Vec<i16> {
    fn from(converted: Converted) -> Self {
        converted.0.into()
    }
}

fn inner(length: usize) -> Inner {
    Inner {
        maybe: floats(length),
        bytes: numbers(length).into(),
        text: "y".repeat(length),
        option: Some(numbers(length)),
    }
}

#[test]
fn every_serde_attribute_carries_bulk() {
    under_each_method(|method| {
        for length in [0, 5, 200_000] {
            there_and_back(
                method,
                Flat {
                    name: "n".repeat(length),
                    inner: inner(length),
                    rest: BTreeMap::from([("a".into(), numbers(length)), ("b".into(), vec![-1])]),
                },
            );
            there_and_back(
                method,
                vec![
                    Untagged::Text("t".repeat(length)),
                    Untagged::Floats(floats(length + 8)),
                    Untagged::Named {
                        points: numbers(length),
                    },
                    Untagged::Nested(vec![numbers(length + 1), vec![1]]),
                ],
            );
            there_and_back(
                method,
                vec![
                    Internal::Points {
                        points: floats(length),
                        raw: numbers(length),
                    },
                    Internal::Inner(inner(length)),
                ],
            );
            there_and_back(
                method,
                vec![
                    Adjacent::One(vec![u128::MAX; length]),
                    Adjacent::Named { a: floats(length) },
                    Adjacent::Pair(numbers(length), "z".repeat(length)),
                ],
            );
            there_and_back(
                method,
                Odd {
                    doubled: numbers::<u32>(length)
                        .iter()
                        .map(|number| number * 2)
                        .collect(),
                    raw: numbers(length),
                    skipped: Vec::new(),
                    big: u128::MAX - 5,
                    negative: i128::MIN + 5,
                    converted: Converted(numbers(length).into()),
                },
            );
        }
    });
}

#[test]
fn numbers_are_of_any_type_that_serde_lets_them_be() {
    #[derive(Serialize, Deserialize)]
    enum Written {
        Bytes(Vec<u8>),
        Words(Vec<u32>),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Read {
        Bytes(BTreeSet<u8>),
        Words(VecDeque<u64>),
    }
    /// Is written as the one and read as the other.
    struct Both(Read);
    impl Serialize for Both {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let written = match &self.0 {
                Read::Bytes(bytes) => Written::Bytes(bytes.iter().copied().collect()),
                Read::Words(words) => Written::Words(
                    words
                        .iter()
                        .map(|word| u32::try_from(*word).unwrap())
                        .collect(),
                ),
            };
            written.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Both {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Read::deserialize(deserializer).map(Both)
        }
    }
    under_each_method(|method| {
        let words = || Read::Words((0..100_000).collect());
        assert!(run(method, echo::new(Both(words()))).0 == words());
        let bytes = || Read::Bytes((0..=255).collect());
        assert!(run(method, echo::new(Both(bytes()))).0 == bytes());
    });
}

#[test]
fn deep_values_arrive() {
    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    enum Nest {
        Leaf(Vec<u8>),
        Nest(Box<Nest>),
    }
    under_each_method(|method| {
        let nest = (0..400).fold(Nest::Leaf(vec![1; 100_000]), |nest, _| {
            Nest::Nest(Box::new(nest))
        });
        there_and_back(method, nest);
    });
}

type Parts = (String, Option<Vec<f64>>, Vec<Fd<File>>, Vec<Vec<u8>>);

/// What is large goes beside the rest, and so do descriptors.
#[process]
fn parts(length: usize, without_memory: bool) -> Parts {
    if without_memory {
        refuse(nix::libc::SYS_memfd_create, nix::libc::ENOSYS);
    }
    let files = (0..3).map(|_| Fd(File::open("/dev/null").unwrap()));
    (
        "ü".repeat(length),
        Some(floats(length)),
        files.collect(),
        vec![numbers(length); 3],
    )
}

fn check((text, numbers_, files, many): Parts, length: usize) {
    assert!(text == "ü".repeat(length) && numbers_ == Some(floats(length)));
    assert!(many == vec![numbers::<u8>(length); 3]);
    assert_eq!(files.len(), 3);
    for file in files {
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}

#[test]
fn child_ends_before_its_bulk_is_joined() {
    under_each_method(|method| {
        for length in [10, 30_000, 1_000_000] {
            let mut child = spawn(method, parts::new(length, false));
            assert!(child.wait().unwrap().success());
            check(child.join().unwrap(), length);
        }
    });
}

#[test]
fn bulk_is_returned_where_there_is_no_memory_to_leave_it_in() {
    under_each_method(|method| {
        for length in [10, 30_000, 1_000_000] {
            let child = spawn(method, parts::new(length, true));
            // Nothing else takes it from the socket, and the child ends only when all is taken.
            check(child.join().unwrap(), length);
        }
    });
}

/// Whether so much memory is to be had, with some to spare.
fn has_memory(bytes: u64) -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    available.is_some_and(|kib| kib * 1024 > bytes + (2 << 30))
}

#[test]
fn more_than_four_gib_arrive() {
    const LENGTH: usize = (4 << 30) + 12_345;
    #[process]
    fn probe(bytes: Vec<u8>, step: usize) -> (usize, Vec<u8>, Vec<u8>) {
        let probes = bytes.iter().copied().step_by(step).collect();
        (bytes.len(), probes, bytes[bytes.len() - 100..].to_vec())
    }
    if !has_memory(2 * LENGTH as u64) {
        println!("there is no memory for it");
        return;
    }
    within(DEADLINE * 3, || {
        let mut bytes = vec![0_u8; LENGTH];
        // Not every page of it is touched, so that it takes less memory and time.
        let step = (1 << 20) + 1;
        for (index, byte) in bytes.iter_mut().enumerate().step_by(step) {
            *byte = index.to_le_bytes()[2];
        }
        bytes[LENGTH - 1] = 99;
        let wanted: Vec<u8> = bytes.iter().copied().step_by(step).collect();
        let last = bytes[LENGTH - 100..].to_vec();
        let child = probe::spawn(bytes, step).unwrap();
        assert!(child.join().unwrap() == (LENGTH, wanted, last));
    });
}
