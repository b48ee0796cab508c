//! The log's manifest, beside its files.

#![no_main]

use holdfast_tests::fuzz::aof;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    aof::check_manifest(aof::holdfast, text).unwrap_or_else(|why| panic!("{why}"));
});
