//! What goes in comes out equal: every shape that serde knows, as an argument, an output, a message
//! of a queue and of a pipe.

#![allow(clippy::option_option, reason = "what arrives equal")]
#![allow(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde says what a condition is given"
)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::ptr_arg,
    reason = "what is passed is what is tested"
)]

use procession::{
    Transfer,
    channel::{pipe, queue},
    process,
};
use procession_tests::within;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_bytes::ByteBuf;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{CString, OsString},
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU8, Wrapping},
    ops::{Bound, Range},
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

#[process]
fn echo<T: Transfer>(value: T) -> T {
    value
}

/// Sends a value on every way there is.
fn travel<T: Transfer + PartialEq + fmt::Debug + Clone + Send>(value: T) {
    let child = echo::spawn(value.clone()).unwrap();
    pass(&value);
    assert_eq!(child.join().unwrap(), value);
}

/// Sends a value through a queue and a pipe.
fn pass<T: Transfer + PartialEq + fmt::Debug + Clone + Send>(value: &T) {
    let (sender, receiver) = queue(1).unwrap();
    sender.send(value.clone()).unwrap();
    assert_eq!(receiver.recv().unwrap(), *value);
    let (here, there) = pipe::<T, T>().unwrap();
    let sent = value.clone();
    thread::scope(|scope| {
        scope.spawn(|| here.send(sent).unwrap());
        assert_eq!(there.recv().unwrap(), *value);
    });
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Nothing;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper<T>(T);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent<T> {
    inner: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Variants<T> {
    Unit,
    Empty(),
    Braces {},
    One(T),
    Two(T, T),
    #[serde(rename = "named!")]
    Named {
        a: T,
        #[serde(default, skip_serializing_if = "is_unset")]
        b: Option<u8>,
    },
}

fn is_unset(value: &Option<u8>) -> bool {
    value.is_none()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal<T> {
    Unit,
    Address {
        address: IpAddr,
        time: Duration,
    },
    Named {
        value: T,
        nested: Option<Box<Internal<T>>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent<T> {
    Unit,
    One(T),
    Two(T, Option<Option<T>>),
    Named { value: T },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Nothing,
    Flag(bool),
    Letters(Vec<char>),
    Number(i64),
    Text(String),
    Named { value: Box<T> },
    Set(u8, T),
}

/// A change to a record: unset, set to nothing, or set.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
struct Patch {
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some"
    )]
    comment: Option<Option<String>>,
    plain: Option<Option<u8>>,
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<Option<String>>::deserialize(from)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    first: u8,
    #[serde(flatten)]
    inner: Wrapped<T>,
    #[serde(flatten)]
    maybe: Option<Nested>,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<i32>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped<T> {
    value: Option<T>,
    address: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    nested: Option<Option<()>>,
}

/// A number or a text, as in formats such as JSON, whose visitor knows no options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lenient {
    #[serde(deserialize_with = "number_or_text")]
    number: Option<i32>,
}

fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Option<i32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or a text")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Option<i32>, E> {
            i32::try_from(value).map(Some).map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Option<i32>, E> {
            i32::try_from(value).map(Some).map_err(E::custom)
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Option<i32>, E> {
            value.parse().map(Some).map_err(E::custom)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<i32>, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Visitor)
}

#[test]
fn options_within_options_arrive() {
    within(Duration::from_secs(100), || {
        let options: Vec<Option<Option<u8>>> = vec![None, Some(None), Some(Some(1))];
        travel(options.clone());
        travel(options.clone().into_iter().map(Some).collect::<Vec<_>>());
        travel((Some(Some(None::<u8>)), Some(()), None::<()>));
        travel((Some(Nothing), None::<Nothing>, Some(Wrapper(None::<u8>))));
        travel(vec![Some(serde_json::Value::Null), None]);
        travel(vec![Some(Untagged::<u8>::Nothing), None]);
        travel(vec![Some(PhantomData::<u8>), None]);
        travel(Wrapper(Some(Transparent { inner: None::<()> })));
        travel(BTreeMap::from([
            (Some(None), Some(None)),
            (None, None),
            (Some(Some(1)), Some(Some(2))),
        ]));
        let patches = [None, Some(None), Some(Some("c".to_owned()))];
        let patches = patches.map(|comment| Patch {
            comment,
            plain: Some(None),
        });
        travel(patches.to_vec());
        for option in options {
            travel(Variants::One(option));
            travel(Adjacent::Two(option, Some(Some(option))));
            travel(Internal::Named {
                value: option,
                nested: None,
            });
            travel(Untagged::Set(1, option));
            travel(Untagged::Named {
                value: Box::new(option),
            });
            travel(flat(option));
            travel(Bound::Included(option));
            travel(Ok::<_, ()>(option));
        }
    });
}

fn flat<T>(value: T) -> Flat<T> {
    Flat {
        first: 1,
        inner: Wrapped {
            value: Some(value),
            address: ([127, 0, 0, 1], 80).into(),
        },
        maybe: Some(Nested { nested: Some(None) }),
        rest: BTreeMap::from([("r".into(), None), ("s".into(), Some(-1))]),
    }
}

#[test]
fn every_type_of_serde_arrives() {
    within(Duration::from_secs(100), || {
        travel((true, 'ß', "text".to_owned(), String::new()));
        travel((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
        travel((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
        travel((0.1_f32, f64::MIN_POSITIVE, f64::NEG_INFINITY, -0.0_f64));
        travel((
            ByteBuf::from(vec![0; 300]),
            ByteBuf::new(),
            vec![1_u8],
            Vec::<u8>::new(),
        ));
        travel((vec![(); 1000], [(); 3], (), ((),), Vec::<Nothing>::new()));
        travel(vec![
            Variants::Unit,
            Variants::Empty(),
            Variants::Braces {},
            Variants::One(1),
            Variants::Two(2, 3),
        ]);
        travel(
            [None, Some(3)]
                .map(|b| Variants::Named {
                    a: "a".to_owned(),
                    b,
                })
                .to_vec(),
        );
        let address = "fe80::1".parse().unwrap();
        let time = Duration::new(1, 999_999_999);
        let inner = Internal::Address { address, time };
        travel(Internal::Named {
            value: 'c',
            nested: Some(Box::new(inner)),
        });
        travel((
            Internal::<u8>::Unit,
            Adjacent::<u8>::Unit,
            Adjacent::One(1_u128),
            Adjacent::Named { value: 1 },
        ));
        travel(vec![
            Untagged::Nothing,
            Untagged::Flag(false),
            Untagged::Letters(vec!['a', 'b']),
            Untagged::Number(i64::MIN),
            Untagged::Text("t".into()),
            Untagged::Named {
                value: Box::new(Variants::Two(1_i8, 2)),
            },
            Untagged::Set(1, Variants::Unit),
        ]);
        travel(BTreeMap::from([((), 1)]));
        travel(BTreeMap::from([((1, 'a'), 1), ((2, 'b'), 2)]));
        travel(BTreeMap::from([(
            Nothing,
            BTreeSet::from([vec![1_u8], vec![]]),
        )]));
        travel(BTreeMap::from([(true, VecDeque::from([1.5_f32]))]));
        travel((
            Wrapping(1_u8),
            NonZeroU8::MIN,
            Range { start: 1, end: 2 },
            SystemTime::now(),
        ));
        travel((
            Bound::<u8>::Unbounded,
            Err::<(), _>("e".to_owned()),
            std::cell::Cell::new(1),
        ));
        travel((CString::new("c").unwrap(), OsString::from_vec(vec![0xff])));
        travel(serde_json::json!({"a": [null, 1, -1, 0.5, "s", {}], "b": {"c": u64::MAX}}));
        travel(vec![
            Lenient { number: Some(5) },
            Lenient { number: Some(-5) },
            Lenient { number: None },
        ]);
    });
}

#[test]
fn numbers_keep_their_bits() {
    let odd = [0x7ff8_0000_0000_0001, 0xfff0_0000_dead_beef, 1 << 63];
    let sent: Vec<Wrapper<f64>> = odd.map(|bits| Wrapper(f64::from_bits(bits))).to_vec();
    let arrived = echo::spawn(sent).unwrap().join().unwrap();
    assert_eq!(
        arrived
            .iter()
            .map(|number| number.0.to_bits())
            .collect::<Vec<_>>(),
        odd
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Paths {
    path: PathBuf,
    boxed: Box<Path>,
    maybe: Option<PathBuf>,
    either: Result<PathBuf, Box<PathBuf>>,
    cow: Cow<'static, Path>,
    by_path: BTreeMap<PathBuf, Vec<PathBuf>>,
}

fn paths(path: &Path) -> Paths {
    Paths {
        path: path.into(),
        boxed: path.into(),
        maybe: Some(path.into()),
        either: Err(Box::new(path.into())),
        cow: Cow::Owned(path.into()),
        by_path: BTreeMap::from([(path.into(), vec![path.into(), PathBuf::new()])]),
    }
}

#[process]
fn by_reference(path: &PathBuf, boxed: Box<Path>, lent: &Path) -> (PathBuf, Box<Path>, PathBuf) {
    (path.clone(), boxed, lent.into())
}

#[test]
fn paths_need_not_be_utf8() {
    within(Duration::from_secs(100), || {
        for length in [2, 300, 100_000] {
            let path = PathBuf::from(OsString::from_vec(vec![0xff; length]));
            travel(path.clone());
            travel(vec![path.clone()]);
            travel(path.clone().into_boxed_path());
            travel(paths(&path));
            travel((
                Wrapper(path.clone()),
                Variants::One(path.clone()),
                Some(Some(path.clone())),
            ));
            let child = by_reference::spawn(&path, path.clone().into(), &path).unwrap();
            let arrived = child.join().unwrap();
            assert_eq!(arrived, (path.clone(), path.clone().into(), path));
        }
        travel(paths(Path::new("plain")));
    });
}

#[test]
fn path_that_serde_keeps_in_its_own_form_is_an_error() {
    let path = PathBuf::from(OsString::from_vec(vec![0xff]));
    let (sender, receiver) = queue(1).unwrap();
    sender
        .send(Adjacent::One(Transparent { inner: path }))
        .unwrap_err();
    drop((sender, receiver));
}

/// Random numbers, by `SplitMix64`: all that follows from one seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Few, most often.
    fn many(&mut self) -> usize {
        let bound = [1, 3, 6, 300][usize::try_from(self.below(4)).unwrap()];
        usize::try_from(self.below(bound)).unwrap()
    }
}

/// Values of every shape in one another.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
enum Any {
    Unit,
    Nothing(Nothing),
    Units(Vec<()>),
    Maybe(Option<Box<Any>>),
    Twice(Option<Option<Box<Any>>>),
    MaybeUnit(Option<()>, Option<Nothing>, Option<Option<Option<u8>>>),
    Signed(i8, i16, i32, i64, i128),
    Unsigned(u8, u16, u32, u64, u128),
    Float(f32, f64),
    Char(char),
    Text(String),
    Bytes(ByteBuf),
    Numbers(Vec<u16>, Vec<f64>),
    Many(Vec<Any>),
    Map(Vec<(Any, Any)>),
    Named {
        a: Box<Any>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        b: Option<u8>,
    },
    Path(PathBuf),
    Json(serde_json_value::Shown),
    Address(IpAddr),
    Internal(Box<Tagged>),
}

/// Only what has an order.
mod serde_json_value {
    pub(super) type Shown = std::collections::BTreeMap<String, Option<Option<bool>>>;
}

/// What serde keeps in a form of its own.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tagged {
    Nothing,
    Named {
        twice: Option<Option<i16>>,
        text: char,
        bytes: ByteBuf,
        address: IpAddr,
        units: Vec<Option<()>>,
    },
    Deep {
        deep: Option<Box<Tagged>>,
        map: BTreeMap<i8, Option<Option<u8>>>,
    },
}

impl Random {
    fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) != 0).then(|| value(self))
    }

    fn text(&mut self) -> String {
        (0..self.many()).map(|_| self.char()).collect()
    }

    fn char(&mut self) -> char {
        char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()).unwrap_or('ß')
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.many())
            .map(|_| self.next().to_le_bytes()[0])
            .collect()
    }

    fn address(&mut self) -> IpAddr {
        match self.below(2) {
            0 => u32::try_from(self.next() >> 32)
                .unwrap()
                .to_be_bytes()
                .into(),
            _ => u128::from(self.next()).to_be_bytes().into(),
        }
    }

    fn tagged(&mut self, depth: u32) -> Tagged {
        match self.below(3) {
            0 => Tagged::Nothing,
            1 => Tagged::Named {
                twice: self.option(|random| {
                    random.option(|random| i16::try_from(random.below(9)).unwrap())
                }),
                text: self.char(),
                bytes: self.bytes().into(),
                address: self.address(),
                units: (0..self.many()).map(|_| self.option(|_| ())).collect(),
            },
            _ => Tagged::Deep {
                deep: self
                    .option(|random| (depth != 0).then(|| random.tagged(depth - 1).into()))
                    .flatten(),
                map: (0..5)
                    .map(|key| (key, self.option(|random| random.option(|_| 1))))
                    .collect(),
            },
        }
    }

    fn any(&mut self, depth: u32) -> Any {
        let next = |random: &mut Self| Box::new(random.any(depth.saturating_sub(1)));
        let bits = self.next();
        let wide = u128::from(bits) << self.below(60);
        #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
        match self.below(if depth == 0 { 14 } else { 20 }) {
            0 => Any::Unit,
            1 => Any::Nothing(Nothing),
            2 => Any::Units(vec![(); self.many()]),
            3 => Any::MaybeUnit(
                self.option(|_| ()),
                self.option(|_| Nothing),
                self.option(|random| random.option(|random| random.option(|_| 1))),
            ),
            4 => Any::Signed(
                bits as i8,
                bits as i16,
                bits as i32,
                bits.cast_signed(),
                wide.cast_signed(),
            ),
            5 => Any::Unsigned(bits as u8, bits as u16, bits as u32, bits, wide),
            6 => Any::Float(f32::from(bits as u16) / 7.0, f64::from(bits as u32) / 7.0),
            7 => Any::Char(self.char()),
            8 => Any::Text(self.text()),
            9 => Any::Bytes(self.bytes().into()),
            10 => Any::Numbers(vec![bits as u16; self.many()], vec![0.1; self.many()]),
            11 => Any::Path(OsString::from_vec(self.bytes()).into()),
            12 => Any::Address(self.address()),
            13 => Any::Json(
                (0..self.many())
                    .map(|_| (self.text(), self.option(|random| random.option(|_| true))))
                    .collect(),
            ),
            14 => Any::Maybe(self.option(next)),
            15 => Any::Twice(self.option(|random| random.option(next))),
            16 => Any::Many((0..self.many().min(6)).map(|_| *next(self)).collect()),
            17 => Any::Map(
                (0..self.many().min(6))
                    .map(|_| (*next(self), *next(self)))
                    .collect(),
            ),
            18 => Any::Named {
                a: next(self),
                b: self.option(|_| 1),
            },
            _ => Any::Internal(self.tagged(depth).into()),
        }
    }
}

#[test]
fn any_value_arrives() {
    let seed = RandomState::new().hash_one(0);
    eprintln!("with the seed {seed}");
    within(Duration::from_secs(100), move || {
        let mut random = Random(seed);
        let values: Vec<Any> = (0..300).map(|_| random.any(4)).collect();
        values.iter().for_each(pass);
        travel(values);
    });
}
