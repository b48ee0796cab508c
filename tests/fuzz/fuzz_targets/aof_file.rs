//! A file of the log, as it is and with the checksums that it should have.

#![no_main]

use holdfast_tests::fuzz::aof;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aof::check_file(aof::holdfast, bytes).unwrap_or_else(|why| panic!("{why}"));
});
