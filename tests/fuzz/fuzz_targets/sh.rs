//! What the container's `sh` is given to run.

#![no_main]

use holdfast_tests::fuzz::sh;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    sh::check(holdfast_sh::words, text).unwrap_or_else(|why| panic!("{why}"));
});
