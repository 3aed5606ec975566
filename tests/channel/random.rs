//! The fuzz targets, on a bounded number of random inputs.

#[path = "../fuzz/harness/handshake.rs"]
mod handshake;
#[path = "../fuzz/harness/python_frame.rs"]
mod python_frame;

use procession_tests::within;
use std::{
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

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

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// Runs a target on so many inputs, and says which one it fails on.
fn run(count: u32, target: fn(&[u8]), input: fn(&mut Random) -> Vec<u8>) {
    within(Duration::from_secs(120), || {
        let mut random = Random(RandomState::new().hash_one(0));
        for _ in 0..count {
            let input = input(&mut random);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
                eprintln!("with the input {input:?}");
                resume_unwind(payload);
            }
        }
    });
}

#[test]
fn any_bytes_are_frames_or_a_typed_error() {
    run(3000, python_frame::run, |random| {
        let mut input = vec![random.byte()];
        for _ in 0..random.below(6) {
            let body = random.below(300);
            let length = u32::try_from(body).unwrap();
            match random.below(8) {
                0 => input.extend([&[0xff; 4][..], &u64::from(length).to_be_bytes()].concat()),
                1 => input.extend(random.bytes(4)),
                2 => input.extend((length * 20).to_be_bytes()),
                _ => input.extend(length.to_be_bytes()),
            }
            input.extend(random.bytes(body));
        }
        let end = random.below(input.len() as u64 * 3);
        input.truncate(end.max(1));
        input
    });
}

#[test]
fn nobody_gets_in_without_the_key() {
    run(1000, handshake::run, |random| {
        let mut input = vec![random.byte()];
        for _ in 0..=random.below(5) {
            // Most often it keeps to the protocol, or what it does next would never be seen.
            match random.below(8) {
                0 => {
                    let count = random.byte();
                    input.extend([random.byte() % 2, count]);
                    input.extend(random.bytes(count.into()));
                }
                1 => input.extend([3, random.byte(), random.byte()]),
                _ => input.push(2),
            }
        }
        input
    });
}

#[test]
fn who_keeps_to_the_protocol_gets_in() {
    // Without this, the others could pass with a peer that never comes far.
    let patience = Duration::from_secs(20);
    for roles in 0..4 {
        assert!(handshake::gets_in(&[roles, 2, 2, 2], patience));
        assert!(!handshake::gets_in(&[roles, 2, 2, 3, 0, 1], patience));
    }
}
