//! A time server's answer.

#![no_main]

use holdfast_tests::fuzz::agent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    agent::check_time(agent_library::fuzz::time, bytes).unwrap_or_else(|why| panic!("{why}"));
});
