//! A DHCP server's answer, and what init is told of it.

#![no_main]

use holdfast_tests::fuzz::agent;

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    agent::check_dhcp(agent_library::fuzz::dhcp, packet).unwrap_or_else(|why| panic!("{why}"));
});
