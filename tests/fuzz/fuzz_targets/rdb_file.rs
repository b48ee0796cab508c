//! RDB files, whole.

#![no_main]

use holdfast_tests::fuzz::rdb_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    rdb_file::check(rdb_file::holdfast, bytes).unwrap_or_else(|why| panic!("{why}"));
});
