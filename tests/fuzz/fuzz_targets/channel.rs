//! The agent's messages to PID 1, with the plan in them and under its checksum.

#![no_main]

use holdfast_tests::fuzz::supervisor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    supervisor::check_channel(supervisor::channel, bytes).unwrap_or_else(|why| panic!("{why}"));
    let sealed = supervisor::seal(bytes.to_vec());
    supervisor::check_channel(supervisor::channel, &sealed).unwrap_or_else(|why| panic!("{why}"));
});
