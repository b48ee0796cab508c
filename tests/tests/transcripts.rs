//! The corpus of transcripts, run every way on the server under test and on the references.

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis, Valkey};
use holdfast_tests::transcript::Protocol::{self, Resp2, Resp3};
use holdfast_tests::transcript::{Way, corpus, run::check_corpus};

#[track_caller]
fn check(flavour: Flavour, protocol: Protocol, way: Way) {
    check_corpus(&corpus(), flavour, protocol, way);
}

#[test]
fn holdfast_answers_in_resp2() {
    check(Holdfast, Resp2, Way::Plain);
}

#[test]
fn holdfast_answers_in_resp3() {
    check(Holdfast, Resp3, Way::Plain);
}

#[test]
fn holdfast_takes_commands_byte_by_byte() {
    check(Holdfast, Resp2, Way::Bytewise);
}

#[test]
fn holdfast_takes_pipelines() {
    check(Holdfast, Resp3, Way::Pipelined);
}

#[test]
fn holdfast_takes_inline_commands() {
    check(Holdfast, Resp2, Way::Inline);
}

#[test]
fn holdfast_answers_the_same_inside_multi() {
    check(Holdfast, Resp3, Way::InMulti);
}

/// Debian's Redis keeps the corpus honest: what it does not answer is no expectation of ours.
#[test]
fn debians_redis_agrees_in_resp2() {
    check(Redis, Resp2, Way::Plain);
}

#[test]
fn debians_redis_agrees_in_resp3() {
    check(Redis, Resp3, Way::Plain);
}

#[test]
fn debians_redis_agrees_inside_multi() {
    check(Redis, Resp2, Way::InMulti);
}

#[test]
fn valkey_agrees_in_resp3() {
    check(Valkey, Resp3, Way::Plain);
}
