//! Faults that only the hardware watchdog can mend: the machine is reset in time, and knows why.

use holdfast_tests::appliance::watchdog::{Fault, reset_by};

use crate::appliance::rig::{Appliance, is_degraded};

/// Short, so that tests are; the appliance's own is 30 s.
const WATCHDOG: &str = "holdfast.watchdog=10";

/// On one machine, one after the other: each reset is the next one's boot. Three in a row are the
/// most, as the third leaves it in its safe mode.
#[test]
fn whatever_dies_the_machine_is_reset_and_after_three_times_trusts_its_loop_only() {
    let mut appliance = Appliance::boot_with_disk(&[WATCHDOG], |_| ());
    for fault in Fault::ALL {
        let status = appliance.status_now();
        assert!(!is_degraded(&status, "safe-mode"), "{status:#}");
        let reset = reset_by(fault, &mut appliance).unwrap_or_else(|why| panic!("{why}"));
        assert!(reset.is_in_time(), "{fault:?}: {reset}");
    }
    let status = appliance.status_now();
    assert!(is_degraded(&status, "safe-mode"), "{status:#}");
}
