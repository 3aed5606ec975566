//! Any bytes on the socket between a parent and its child.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| procession::fuzz::frames(data));
