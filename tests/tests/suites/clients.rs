//! Client libraries' own suites on our binary: what fails is what clients/*.failures.txt explains.

use std::process::{Command, Stdio};

use holdfast_tests::commands::run;

/// The command that a person types.
#[track_caller]
fn runs_as_expected(words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client-suites"));
    let report = run(command.args(words).stdin(Stdio::null()));
    println!("{}", report.unwrap_or_else(|why| panic!("{why}")));
}

#[test]
fn redis_pys_suite_runs_as_expected_in_resp2() {
    runs_as_expected(&["redis-py", "--protocol", "2"]);
}

#[test]
fn redis_pys_suite_runs_as_expected_in_resp3() {
    runs_as_expected(&["redis-py", "--protocol", "3"]);
}

#[test]
fn node_rediss_suite_runs_as_expected() {
    runs_as_expected(&["node-redis"]);
}
