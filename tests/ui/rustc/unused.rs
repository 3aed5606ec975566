#![deny(dead_code)]

use procession::process;

#[process]
fn task(seconds: u64, Text: &str) -> u64 {
    seconds + Text.len() as u64
}

fn main() {}
