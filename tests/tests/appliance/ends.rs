//! PID 1 itself fails: the machine is back within seconds, and tells what it was.

use std::time::{Duration, Instant};

use holdfast_image::kernel::Choice;
use holdfast_tests::appliance::BOOT;
use holdfast_tests::starvation;

use crate::appliance::rig::Appliance;

/// The reference's bound, for a machine that has a processor; the kernel's own wait after a panic is 5 s
/// of it.
const LIMIT: Duration = Duration::from_secs(15);

/// The kernel's wait after a panic is a count of instructions. Where other guests leave little of the
/// processors it may outlast the watchdog, which is no fault: then the same is done again.
const TRIES: usize = 3;

/// How a run ended.
struct End {
    after: Duration,
    /// For so long QEMU had no processor meanwhile.
    starved: Duration,
    /// By the watchdog, as QEMU saw it, and its timeout.
    watchdog: bool,
    timeout: Duration,
    /// `boot.last_end` of the run after it.
    told: String,
    /// The console since.
    said: String,
}

/// Does it to a machine that is well, and waits for it to be back.
fn end_of(appliance: &mut Appliance, failure: &str) -> End {
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    let boots = status["boot"]["count"].as_u64().unwrap();
    let timeout = Duration::from_secs(status["watchdog"]["timeout_s"].as_u64().unwrap());
    let said = appliance.guest.console().text().len();
    appliance.qmp().forget();
    let pid = appliance.guest.pid();
    let (begun, waited) = (Instant::now(), starvation::waited(pid));
    appliance.hurt("init", failure);
    let reset = appliance.qmp().wait_for("RESET", BOOT);
    let starved = starvation::waited(pid).saturating_sub(waited);
    let after = reset.unwrap_or_else(|| panic!("no reset\n{}", appliance.guest.console().tail()));
    let watchdog = appliance.qmp().has_seen("WATCHDOG");
    let status = appliance.wait_for_status("back", |status| {
        status["ready"] == true && status["boot"]["count"] == boots + 1
    });
    let told = status["boot"]["last_end"].as_str().unwrap().to_owned();
    let said = appliance.guest.console().text().get(said..).unwrap_or_default().to_owned();
    End { after: after - begun, starved, watchdog, timeout, told, said }
}

/// How `failure` ends the run, and what the next one says of it.
#[track_caller]
fn check(appliance: &mut Appliance, failure: &str, told: &str, words: &str) {
    for _ in 0..TRIES {
        let end = end_of(appliance, failure);
        let limit = if end.watchdog { end.timeout + end.timeout / 10 } else { LIMIT };
        let why = format!(
            "{failure}: {:?}, {:?} starved, {}\n{}",
            end.after, end.starved, end.told, end.said
        );
        assert!(end.after <= limit + end.starved, "{why}");
        if end.watchdog {
            assert_eq!(end.told, "watchdog", "{why}");
            continue;
        }
        assert_eq!(end.told, told, "{why}");
        assert!(end.said.contains(words), "{why}");
        return;
    }
    panic!("{failure}: {TRIES} times the watchdog was first");
}

/// After a bad memory access PID 1 cannot say anything, but the kernel can: into memory that survives,
/// which ours has and Debian's has not.
#[test]
fn a_failure_of_pid_1_starts_the_machine_anew() {
    let mut appliance = Appliance::boot_with_disk(&[], |_| ());
    check(&mut appliance, "PANIC", "panic", "its last words: panicked at");
    let ours = Choice::Quickest.get().unwrap().modules.is_empty();
    if ours {
        check(&mut appliance, "FAULT", "panic", "the last run ended by a panic");
    } else {
        check(&mut appliance, "FAULT", "power-lost", "the last run ended without a word");
    }
}

/// The kernel's own order, as from its thermal driver, by what both go through: a program that it starts
/// itself. A core dump's is one that can be had at will, where the kernel makes any: ours does not.
#[test]
fn a_poweroff_that_the_kernel_starts_ends_the_machine_in_order() {
    if Choice::Quickest.get().unwrap().modules.is_empty() {
        println!("not looked at: this kernel makes no core dumps");
        return;
    }
    let words = ["sysctl.kernel.core_pattern=|/sbin/poweroff"];
    let mut appliance = Appliance::boot_with(&words, |_| ());
    appliance.wait_for_status("ready", |status| status["ready"] == true);
    appliance.hurt("server", "ABRT");
    assert!(appliance.guest.wait_ended(BOOT).unwrap(), "{}", appliance.guest.console().tail());
    let console = appliance.guest.console().text();
    assert!(console.contains("stopping to power off"), "{console}");
}
