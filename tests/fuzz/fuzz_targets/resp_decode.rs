//! The RESP decoder against the simple one.

#![no_main]

use holdfast_tests::fuzz::resp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    resp::check(resp::holdfast, input).unwrap_or_else(|why| panic!("{why}"));
});
