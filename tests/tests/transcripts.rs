//! The corpus of transcripts, run every way on the server under test and on the references.

use std::process::Command;

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis, Valkey};
use holdfast_tests::binaries::server;
use holdfast_tests::commands::run;
use holdfast_tests::progress::say;
use holdfast_tests::transcript::Protocol::{self, Resp2, Resp3};
use holdfast_tests::transcript::{Way, corpus, run::check_corpus};

/// The release of Debian's Redis (bookworm's) whose words the corpus has.
const REDIS_RELEASE: &str = "v=7.0.";

#[track_caller]
fn check(flavour: Flavour, protocol: Protocol, way: Way) {
    check_corpus(&corpus(), flavour, protocol, way);
}

/// Another Debian has another Redis, whose words differ here and there; Valkey is asked everywhere.
#[track_caller]
fn check_redis(protocol: Protocol, way: Way) {
    let version = run(Command::new(server(Redis)).arg("--version")).expect("it can be executed");
    if version.contains(REDIS_RELEASE) {
        check(Redis, protocol, way);
    } else {
        say(format!("the corpus is for {REDIS_RELEASE}, not asked: {version}"));
    }
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
    check_redis(Resp2, Way::Plain);
}

#[test]
fn debians_redis_agrees_in_resp3() {
    check_redis(Resp3, Way::Plain);
}

#[test]
fn debians_redis_agrees_inside_multi() {
    check_redis(Resp2, Way::InMulti);
}

#[test]
fn valkey_agrees_in_resp3() {
    check(Valkey, Resp3, Way::Plain);
}
