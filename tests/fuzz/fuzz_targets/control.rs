//! A request to the agent.

#![no_main]

use holdfast_supervisor::control::Request;
use holdfast_tests::fuzz::control;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    control::check(|line| Request::parse(line), line).unwrap_or_else(|why| panic!("{why}"));
});
