//! Any bytes in the memory that a child leaves its value in.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| procession::fuzz::replies(data));
