//! PID 1 itself fails: the machine is back within seconds, and tells what it was.

use std::time::{Duration, Instant};

use holdfast_image::kernel::Choice;

use crate::rig::Appliance;

/// The reference's bound; the kernel's own wait after a panic is 10 s of it.
const LIMIT: Duration = Duration::from_secs(15);

/// How `failure` ends the run, and what the next one says of it.
#[track_caller]
fn check(failure: &str, end: &str, words: &str) {
    let mut appliance = Appliance::boot_with_disk(&[], |_| ());
    appliance.wait_for_status("ready", |status| status["ready"] == true);
    appliance.qmp().forget();
    let begun = Instant::now();
    appliance.hurt("init", failure);
    let reset = appliance.qmp().wait_for("RESET", 4 * LIMIT);
    let console = || appliance.guest.console().tail();
    let after = reset.unwrap_or_else(|| panic!("no reset\n{}", console())) - begun;
    assert!(after <= LIMIT, "{failure}: {after:?}\n{}", console());
    let status = appliance
        .wait_for_status("back", |status| status["ready"] == true && status["boot"]["count"] == 2);
    assert_eq!(status["boot"]["last_end"], end, "{status:#}\n{}", console());
    let text = appliance.guest.console().text();
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_panic_of_pid_1_starts_the_machine_anew() {
    check("PANIC", "panic", "its last words: panicked at");
}

/// PID 1 cannot say anything then, but the kernel can: into memory that survives, which ours has and
/// Debian's has not.
#[test]
fn a_bad_memory_access_of_pid_1_starts_the_machine_anew() {
    let ours = Choice::Quickest.get().unwrap().modules.is_empty();
    if ours {
        check("FAULT", "panic", "the last run ended by a panic");
    } else {
        check("FAULT", "power-lost", "the last run ended without a word");
    }
}
