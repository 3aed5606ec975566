//! 64 MiB by crossmist.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SIZE: usize = 64 << 20;

#[crossmist::func]
fn take(bytes: Vec<u8>) -> u64 {
    let now = now();
    std::hint::black_box(&bytes);
    now
}

#[crossmist::func]
fn give(size: u64) -> Vec<u8> {
    vec![7; usize::try_from(size).expect("it fits")]
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or_default()
}

fn report(what: &str, mut taken: Vec<u64>) {
    taken.sort_unstable();
    let median = Duration::from_nanos(taken[taken.len() / 2]);
    println!("crossmist, 64 MiB, {what}\t{}", median.as_secs_f64() * 1e6);
}

#[crossmist::main]
fn main() {
    let one_way = (0..5).map(|_| {
        let bytes = vec![7; SIZE];
        let begun = now();
        let child = take.spawn(bytes).expect("it starts");
        child.join().expect("it returns") - begun
    });
    report("Vec<u8> as argument", one_way.collect());
    let back = (0..5).map(|_| {
        let begun = now();
        let child = give.spawn(SIZE as u64).expect("it starts");
        assert_eq!(child.join().expect("it returns").len(), SIZE);
        now() - begun
    });
    report("Vec<u8> made and returned", back.collect());
}
