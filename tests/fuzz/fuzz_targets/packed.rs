//! Listpack and intset bytes against simple readers.

#![no_main]

use holdfast_tests::fuzz::packed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    packed::check(packed::listpack, packed::simple_listpack, bytes)
        .and_then(|()| packed::check(packed::intset, packed::simple_intset, bytes))
        .unwrap_or_else(|why| panic!("{why}"));
});
