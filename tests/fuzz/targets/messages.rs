//! Any bytes in a pipe.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| procession::fuzz::messages(data));
