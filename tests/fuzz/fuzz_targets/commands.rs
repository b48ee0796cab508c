//! Requests as a client sends them, executed.

#![no_main]

use holdfast_tests::fuzz::commands;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    commands::check(commands::holdfast, input).unwrap_or_else(|why| panic!("{why}"));
});
