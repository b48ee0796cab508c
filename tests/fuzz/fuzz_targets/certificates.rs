//! Certificates, as PEM and as what is in it.

#![no_main]

use holdfast_tests::fuzz::agent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    agent::check_bundle(agent_library::fuzz::bundle, bytes).unwrap_or_else(|why| panic!("{why}"));
});
