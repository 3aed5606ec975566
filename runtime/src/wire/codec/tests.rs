//! Tests of which values are sent as bytes, and of malformed messages.

use super::{
    super::{
        blob::Content,
        message::{Incoming, Outgoing},
    },
    INLINE,
    kind::{Kind, Number},
    tag,
};
use crate::sys::segment::{Segment, Width};
use serde::{
    Serialize, Serializer,
    de::{DeserializeOwned, IgnoredAny},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

const LARGE: usize = INLINE + 8;

fn message<T: Serialize>(value: &T) -> Outgoing<'_> {
    let mut message = Outgoing::default();
    message.put("a value", value).unwrap();
    message
}

#[test]
fn large_value_is_lent_and_large_part_is_copied() {
    fn lent<T: Serialize>(value: &T, wanted: &[u8]) {
        let message = message(value);
        let [blob] = &message.blobs.waiting[..] else {
            panic!("one is beside it")
        };
        let Content::Lent(bytes) = blob.content else {
            panic!("it is lent")
        };
        assert_eq!(bytes.as_ptr_range(), wanted.as_ptr_range());
        assert!(message.bytes.len() < 32);
    }
    let (bytes, floats, text) = (vec![1_u8; LARGE], vec![0.5_f64; LARGE], "t".repeat(LARGE));
    lent(&bytes, &bytes);
    lent(&floats, bytemuck::cast_slice(&floats));
    lent(&text, text.as_bytes());

    let parts = (Some(bytes), vec![floats], text);
    let message = message(&parts);
    let widths = message.blobs.waiting.iter().map(|blob| blob.width);
    assert_eq!(
        widths.collect::<Vec<_>>(),
        [Width::One, Width::Eight, Width::One]
    );
    assert!(message.bytes.len() < 64);
}

#[test]
fn vector_is_the_memory_that_arrived() {
    let numbers: Vec<i64> = (0..100_000).collect();
    let arrived = Segment::copied(Width::Eight, bytemuck::cast_slice(&numbers)).unwrap();
    let message = message(&numbers);
    let mut message = Incoming::new(message.bytes, Vec::new()).with_blobs(vec![arrived]);
    let before = message.first_blob_address();
    let decoded: Vec<i64> = message.take().unwrap();
    assert!(decoded == numbers);
    assert_eq!(decoded.as_ptr().addr(), before);
}

#[test]
fn small_numbers_are_as_long_as_their_bytes() {
    for message in [
        message(&vec![0.5_f64; 1000]),
        message(&(1, vec![200_u8; 8000])),
    ] {
        assert!((8000..8032).contains(&message.bytes.len()));
        assert!(message.blobs.waiting.is_empty());
    }
}

fn decode<T: DeserializeOwned + fmt::Debug>(bytes: &[u8], beside: &[Width]) -> Result<T, String> {
    let bytes = [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
    let blobs = beside
        .iter()
        .map(|width| Segment::copied(*width, &[0xff; 32]).unwrap());
    let mut message = Incoming::new(bytes, Vec::new()).with_blobs(blobs.collect());
    let error = |error: crate::error::Error| std::error::Error::source(&error).unwrap().to_string();
    message.take().map_err(error)
}

fn beside(kind: Kind, place: u64) -> Vec<u8> {
    [&[tag::BESIDE, kind.code()][..], &place.to_le_bytes()].concat()
}

fn long(kind: Kind, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[tag::LONG, kind.code()][..], &length, content].concat()
}

#[test]
fn lies_are_errors() {
    let malformed = "bytes that do not say what they are";
    for lie in [
        &[0xff][..],
        &[tag::NUMBER + 12],
        &[tag::LONG, 9, 0, 0, 0, 0],
        &[tag::CHAR, 0, 0xd8, 0, 0],
    ] {
        assert_eq!(decode::<Vec<u8>>(lie, &[]).unwrap_err(), malformed);
    }
    let short = "it ends before its time";
    for lie in [
        &[][..],
        &[tag::SOME],
        &[tag::SHORT_TEXT, 2, b'a'],
        &[tag::LONG, 0, 9, 0, 0, 0, 1],
        &[tag::SEQ, 2, 0, 0, 0, tag::UNIT],
        &[tag::SEQ, 0xff, 0xff, 0xff, 0xff],
        &[tag::MAP, 1, 0, 0, 0, tag::UNIT],
        &[tag::VARIANT],
    ] {
        assert_eq!(
            decode::<IgnoredAny>(lie, &[]).unwrap_err(),
            short,
            "{lie:?}"
        );
    }
    let left = decode::<()>(&[tag::UNIT, tag::UNIT], &[]).unwrap_err();
    assert_eq!(left, "bytes are left over");

    let numbers = Kind::Many(Number::F64);
    let absent = "something is beside the message that did not come with it";
    for place in [1, u64::MAX] {
        let lie = beside(numbers, place);
        let decoded = decode::<Vec<f64>>(&lie, &[Width::Eight]);
        assert_eq!(decoded.unwrap_err(), absent);
    }
    let cut = decode::<Vec<f64>>(&beside(numbers, 0)[..5], &[Width::Eight]);
    assert_eq!(cut.unwrap_err(), short);

    let another = "the content is of another kind than it says";
    for kind in [numbers, Kind::Text, Kind::Bytes, Kind::Path] {
        let decoded = decode::<Vec<f64>>(&beside(kind, 0), &[Width::Two]);
        assert_eq!(decoded.unwrap_err(), another, "{kind:?}");
    }
    let ragged = decode::<Vec<f64>>(&long(numbers, &[0; 12]), &[]);
    assert_eq!(ragged.unwrap_err(), another);

    let text = decode::<String>(&beside(Kind::Text, 0), &[Width::One]).unwrap_err();
    assert!(text.contains("utf-8"), "{text}");
    let few = long(numbers, &[0; 16]);
    assert!(decode::<[f64; 3]>(&few, &[]).is_err());
    assert!(decode::<(f64,)>(&few, &[]).is_err());
    assert_eq!(decode::<(f64, f64)>(&few, &[]).unwrap(), (0.0, 0.0));
    assert_eq!(decode::<VecDeque<f32>>(&few, &[]).unwrap(), [0.0, 0.0]);
    assert!(decode::<Vec<u8>>(&few, &[]).is_err());
    assert!(decode::<BTreeMap<u8, u8>>(&few, &[]).is_err());
}

#[test]
fn what_is_beside_a_message_is_there_once() {
    let bytes = vec![1_u8; LARGE];
    let twice = (bytes.clone(), bytes);
    let outgoing = message(&twice);
    let blobs = outgoing.blobs.arrive().unwrap();
    let mut bytes = outgoing.bytes;
    // Both contents now name the same place.
    let last = bytes.len() - 8;
    bytes[last] = 0;
    let mut message = Incoming::new(bytes, Vec::new()).with_blobs(blobs);
    message.take::<(Vec<u8>, Vec<u8>)>().unwrap_err();
}

#[test]
fn more_parts_than_the_format_can_count_are_an_error() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer
                .serialize_seq(Some(1 << 32))
                .map(|_| unreachable!())
        }
    }
    let error = Outgoing::default().put("a value", &Endless).unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "it has more than 4294967295 parts"
    );
}
