//! holdfast.toml, and the plan that it comes to.

#![no_main]

use holdfast_tests::fuzz::agent;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    agent::check_config(agent_library::fuzz::config, text).unwrap_or_else(|why| panic!("{why}"));
});
