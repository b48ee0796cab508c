//! Faults that only the hardware watchdog can mend: the machine is reset in time, and knows why.

use holdfast_tests::appliance::watchdog::{Fault, reset_by};

use crate::rig::Appliance;

/// Short, so that tests are; the appliance's own is 30 s.
const WATCHDOG: &str = "holdfast.watchdog=10";

#[track_caller]
fn check(fault: Fault) {
    let mut appliance = Appliance::boot_with_disk(&[WATCHDOG], |_| ());
    let reset = reset_by(fault, &mut appliance).unwrap_or_else(|why| panic!("{why}"));
    assert!(reset.is_in_time(), "{fault:?}: {reset}");
}

#[test]
fn a_loop_that_is_blocked_is_reset() {
    check(Fault::Loop);
}

#[test]
fn an_agent_that_cannot_be_had_back_is_reset() {
    check(Fault::Agent);
}

#[test]
fn a_data_disk_that_does_not_answer_is_reset() {
    check(Fault::Disk);
}
