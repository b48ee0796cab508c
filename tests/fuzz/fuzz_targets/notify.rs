//! Services' notices to PID 1 (sd_notify).

#![no_main]

use holdfast_supervisor::notify::Notice;
use holdfast_tests::fuzz::supervisor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    supervisor::check_notice(Notice::parse, bytes).unwrap_or_else(|why| panic!("{why}"));
});
