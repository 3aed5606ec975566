//! Any bytes for values, the descriptors beside them and what is too large to stand among them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| procession::fuzz::values(data));
