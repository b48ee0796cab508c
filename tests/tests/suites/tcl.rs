//! Valkey's own suite on our binary: the goal is 98 % of the checks that use what is delivered.

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::tcl::{self, Transport};

/// At least this share of the counted checks passes, in per cent.
const GOAL_PERCENT: usize = 98;

#[track_caller]
fn check(units: &[&str], transport: Transport) {
    let server = binaries::server(Flavour::Holdfast);
    let reports = tcl::run_units(units, &server, transport, tcl::default_jobs());
    let reports = reports.unwrap_or_else(|why| panic!("{why}"));
    let summary = tcl::summary(&reports);
    println!("{summary}");
    let (passed, counted) = tcl::totals(&reports);
    assert!(passed * 100 >= counted * GOAL_PERCENT, "below {GOAL_PERCENT} %:\n{summary}");
    let aborted = reports.iter().filter(|report| report.aborted.is_some()).count();
    assert_eq!(aborted, 0, "a unit did not come to its end:\n{summary}");
}

#[test]
fn valkeys_suite_passes_on_holdfast() {
    check(tcl::UNITS, Transport::Plain);
}

#[test]
fn some_of_it_passes_over_tls() {
    check(tcl::TLS_UNITS, Transport::Tls);
}
