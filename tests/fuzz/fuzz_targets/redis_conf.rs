//! redis.conf: its grammar, and the loader behind it.

#![no_main]

use holdfast_server::config::syntax;
use holdfast_tests::fuzz::conf;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    conf::check(syntax::parse, text).unwrap_or_else(|why| panic!("{why}"));
    conf::check_load(text).unwrap_or_else(|why| panic!("{why}"));
});
