//! Feeds `multipart` with what libFuzzer makes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| so_fuzz_targets::run("multipart", data));
