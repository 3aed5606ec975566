//! Memory that processes share.

#![allow(
    clippy::needless_pass_by_value,
    reason = "what is passed is what is tested"
)]

use crate::hostile::{Disguise, FIXED, label, memory};
use nix::fcntl::SealFlag;
use procession::{
    ErrorKind, StartMethod, process,
    shm::{FrozenSlice, Shared, SharedSlice},
    sync::Event,
};
use procession_tests::{
    DEADLINE, alone_under_each_method, alone_within, by, descriptors, forever, holdings, start,
    under_each_method,
};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fs::{self, File},
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

fn errno<T: std::fmt::Debug>(result: procession::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

const EBUSY: Option<i32> = Some(nix::libc::EBUSY);
const EEXIST: Option<i32> = Some(nix::libc::EEXIST);
const EINVAL: Option<i32> = Some(nix::libc::EINVAL);
const ENOENT: Option<i32> = Some(nix::libc::ENOENT);

#[test]
fn atomics_are_the_same_in_every_process() {
    #[process]
    fn count(one: &Shared<AtomicU64>, many: &SharedSlice<AtomicU32>, own: usize) {
        for _ in 0..1000 {
            one.fetch_add(1, Relaxed);
            many[own].fetch_add(1, Relaxed);
        }
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let one = Shared::new(AtomicU64::new(5)).unwrap();
        let many = SharedSlice::new(3).unwrap();
        let counters: Vec<_> = (0..3)
            .map(|own| start(method, count::new(&one, &many, own)))
            .collect();
        for counter in counters {
            counter.join().unwrap();
        }
        assert_eq!(one.load(Relaxed), 3005);
        let counts: Vec<_> = many.iter().map(|count| count.load(Relaxed)).collect();
        assert_eq!(counts, [1000; 3]);
        // A slice's own `get`, and no copy.
        many.get(1).unwrap().store(7, Relaxed);
        assert_eq!(many[1].load(Relaxed), 7);
        drop((one, many));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn values_are_copied_in_and_out() {
    #[process]
    fn scale(values: &SharedSlice<f64>, factor: &Shared<f64>) -> SharedSlice<u16> {
        let factor = factor.get();
        for index in 0..values.len() {
            values.set(index, values.get(index).unwrap() * factor);
        }
        SharedSlice::from_slice(&[1, 2, 3, 4, 5]).unwrap()
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let values = SharedSlice::from_slice(&[1.0, 2.0, 4.0]).unwrap();
        let factor = Shared::new(1.0).unwrap();
        factor.set(2.5);
        let child = start(method, scale::new(&values, &factor));
        let numbers = child.join().unwrap();
        assert_eq!(values.to_vec(), [2.5, 5.0, 10.0]);
        assert_eq!(values.get(3), None);
        let mut middle = [0; 3];
        numbers.copy_to_slice(1, &mut middle);
        assert_eq!(middle, [2, 3, 4]);
        numbers.copy_from_slice(3, &[8, 9]);
        assert_eq!(numbers.to_vec(), [1, 2, 3, 8, 9]);
        drop((values, factor, numbers));
        assert_eq!(holdings(), before);
    });
}

#[test]
#[should_panic(expected = "2 values from 4 on are not within 5")]
fn values_past_the_end_are_not_written() {
    SharedSlice::from_slice(&[0_u8; 5])
        .unwrap()
        .copy_from_slice(4, &[1, 1]);
}

#[test]
fn length_may_be_zero_and_may_not_be_absurd() {
    #[process]
    fn length(empty: &SharedSlice<u64>) -> (usize, Vec<u64>) {
        (empty.len(), empty.to_vec())
    }
    under_each_method(|method| {
        let empty = SharedSlice::new(0).unwrap();
        let child = start(method, length::new(&empty));
        assert_eq!(child.join().unwrap(), (0, vec![]));
        assert!(empty.is_empty() && empty.freeze().unwrap().is_empty());
        assert_eq!(
            SharedSlice::<u64>::new(usize::MAX).unwrap_err().kind(),
            ErrorKind::OutOfMemory
        );
    });
}

#[test]
fn more_than_four_gibibytes_are_handed_over_as_they_are() {
    const LENGTH: usize = (4 << 30) + 9;
    #[process]
    fn look(bytes: &SharedSlice<u8>) -> (usize, [u8; 2]) {
        let last = bytes.get(LENGTH - 1).unwrap();
        (bytes.len(), [bytes.get(0).unwrap(), last])
    }
    under_each_method(|method| {
        // It takes memory only where it is written to.
        let bytes = SharedSlice::new(LENGTH).unwrap();
        bytes.set(0, 1);
        bytes.set(LENGTH - 1, 2);
        let child = start(method, look::new(&bytes));
        assert_eq!(child.join().unwrap(), (LENGTH, [1, 2]));
    });
}

#[test]
fn frozen_memory_is_read_in_place_and_written_by_nobody() {
    #[process]
    fn sum(words: FrozenSlice<u64>) -> (u64, FrozenSlice<u64>) {
        (words.iter().sum(), words)
    }
    #[process]
    fn keep(words: SharedSlice<u64>, kept: &Event, go: &Event) {
        kept.set();
        go.wait().unwrap();
        drop(words);
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let words: Vec<u64> = (0..100_000).collect();
        let frozen = SharedSlice::from_slice(&words).unwrap().freeze().unwrap();
        let (sum, back) = start(method, sum::new(frozen.clone())).join().unwrap();
        assert_eq!((sum, &back[..]), (words.iter().sum(), &words[..]));

        let shared = SharedSlice::from_slice(&words).unwrap();
        let another = shared.clone();
        assert_eq!(errno(shared.freeze()), EBUSY);
        let (kept, go) = (Event::new().unwrap(), Event::new().unwrap());
        let keeper = start(method, keep::new(another.clone(), &kept, &go));
        kept.wait().unwrap();
        assert_eq!(errno(another.freeze()), EBUSY);
        go.set();
        keeper.join().unwrap();
        drop((frozen, back, kept, go));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn memory_that_could_go_away_or_change_is_refused() {
    #[process]
    fn take<T: Serialize, U: Serialize + for<'de> Deserialize<'de>>(
        disguise: Disguise<T, U>,
    ) -> bool {
        matches!(disguise, Disguise::Arrived(_))
    }
    #[track_caller]
    fn assert_refused<U: Serialize + for<'de> Deserialize<'de> + 'static>(
        method: StartMethod,
        sent: impl Serialize + 'static,
        why: &str,
    ) {
        let builder = by(method);
        let disguise = Disguise::<_, U>::Sent(sent);
        let error = builder.spawn(take::new(disguise)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let text = error.source().unwrap().to_string();
        assert!(text.contains(why), "{text}");
    }
    alone_within(DEADLINE, || {
        for method in procession_tests::METHODS.into_iter().take(2) {
            let before = descriptors();
            let good = (label("SharedSlice", 1), 8, memory(64, FIXED));
            let good = Disguise::<_, SharedSlice<u64>>::Sent(good);
            assert!(start(method, take::new(good)).join().unwrap());

            let shrinkable = memory(64, SealFlag::F_SEAL_GROW);
            assert_refused::<SharedSlice<u64>>(
                method,
                (label("SharedSlice", 1), 8, shrinkable),
                "is not sealed",
            );
            let short = (label("SharedSlice", 1), 9, memory(64, FIXED));
            assert_refused::<SharedSlice<u64>>(method, short, "has 64 bytes, and not 72");
            let absurd = (label("SharedSlice", 1), usize::MAX, memory(64, FIXED));
            assert_refused::<SharedSlice<u64>>(method, absurd, "Cannot allocate memory");
            let writable = (label("FrozenSlice", 1), 8, memory(64, FIXED));
            assert_refused::<FrozenSlice<u64>>(method, writable, "is not frozen");
            let frozen = (
                label("SharedSlice", 1),
                8,
                memory(64, FIXED | SealFlag::F_SEAL_WRITE),
            );
            assert_refused::<SharedSlice<u64>>(method, frozen, "Operation not permitted");
            let other = Shared::new([0_u32; 2]).unwrap();
            assert_refused::<Shared<u64>>(method, other, "aligned to 4, which is no `u64`");
            assert_eq!(descriptors(), before);
        }
    });
}

#[test]
fn peer_that_tries_to_truncate_takes_nothing_away() {
    #[process]
    fn truncate(memory: &File) -> bool {
        memory.set_len(0).is_err()
    }
    under_each_method(|method| {
        let slice = SharedSlice::from_slice(&[7_u8; 10_000]).unwrap();
        // As any peer could get at it.
        let find = |path: &fs::DirEntry| {
            let target = fs::read_link(path.path()).unwrap_or_default();
            target.to_string_lossy().starts_with("/memfd:procession")
        };
        let mut fds = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
        let path = fds.find(find).unwrap().path();
        let memory = File::options().read(true).write(true).open(path).unwrap();
        assert!(start(method, truncate::new(&memory)).join().unwrap());
        assert_eq!(slice.to_vec(), [7; 10_000]);
    });
}

/// Gives memory a name and keeps it.
#[process]
fn keep_name(name: &str, named: &Event) {
    let memory = Shared::new(AtomicU64::new(3)).unwrap();
    let _published = memory.publish(name).unwrap();
    named.set();
    forever()
}

fn name(method: StartMethod, what: &str) -> String {
    format!("{what}-{method}-{}", std::process::id())
}

#[test]
fn name_leads_to_the_memory_and_to_nobody_else() {
    #[process]
    fn visit(name: &str) -> Option<i32> {
        let slice = SharedSlice::<u32>::open(name).unwrap();
        slice.set(1, slice.get(0).unwrap() + 1);
        // A visitor neither owns the name nor takes it along.
        let taken = errno(slice.publish(name));
        drop(slice);
        taken
    }
    alone_under_each_method(|method| {
        let before = holdings();
        let name = name(method, "visited");
        let slice = SharedSlice::from_slice(&[41_u32, 0]).unwrap();
        assert_eq!(errno(SharedSlice::<u32>::open(&name)), ENOENT);
        let published = slice.publish(&name).unwrap();
        assert_eq!(published.name(), name);
        for _ in 0..2 {
            let visitor = start(method, visit::new(&name));
            assert_eq!(visitor.join().unwrap(), EEXIST);
        }
        assert_eq!(slice.to_vec(), [41, 42]);
        assert!(Shared::<[u64; 2]>::open(&name).is_err());
        let late = SharedSlice::<u32>::open(&name).unwrap();
        drop(published);
        assert_eq!(errno(SharedSlice::<u32>::open(&name)), ENOENT);
        assert_eq!(late.to_vec(), [41, 42]);
        drop(slice.publish(&name).unwrap());
        drop((slice, late));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn name_dies_with_a_killed_process_and_the_memory_does_not() {
    alone_under_each_method(|method| {
        let before = holdings();
        let (name, named) = (name(method, "killed"), Event::new().unwrap());
        let mut keeper = start(method, keep_name::new(&name, &named));
        named.wait().unwrap();
        let memory = Shared::<AtomicU64>::open(&name).unwrap();
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        drop(keeper);
        assert_eq!(errno(Shared::<AtomicU64>::open(&name)), ENOENT);
        assert_eq!(memory.load(Relaxed), 3);
        // And it is free again.
        drop(memory.publish(&name).unwrap());
        drop((memory, named));
        assert_eq!(holdings(), before);
    });
}

#[test]
fn what_is_no_name_is_refused() {
    let memory = Shared::new(1_u8).unwrap();
    for name in ["", "a/b", "a b", "a\nb", "a\0b", &"x".repeat(51)] {
        assert_eq!(errno(memory.publish(name)), EINVAL);
        assert_eq!(errno(Shared::<u8>::open(name)), EINVAL);
    }
    drop(memory.publish(&"x".repeat(50)).unwrap());
}
