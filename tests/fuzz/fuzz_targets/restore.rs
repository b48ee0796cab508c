//! RESTORE's payloads, of every form.

#![no_main]

use holdfast_tests::fuzz::restore;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    restore::check(restore::holdfast, bytes).unwrap_or_else(|why| panic!("{why}"));
});
