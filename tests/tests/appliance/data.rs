//! The data partition and the machine's own end: power button, factory reset, a disk that refuses.

use holdfast_tests::appliance::{BOOT, DATA_MIB, blank_disk};
use holdfast_tests::wait;
use serde_json::json;

use crate::appliance::partition::{DATA_AT, MIB};
use crate::appliance::rig::{Appliance, command, is_degraded};

/// ext4's: the journal has what the rest has not.
const NEEDS_RECOVERY: u32 = 4;
/// For commands of several MiB.
const ROOMY_MIB: u32 = 192;

fn set(appliance: &Appliance, value: &str) {
    let reply = command(appliance.guest.port(), &["SET", "kept", value]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"));
}

/// Three boots: of a fresh disk; after the power button, on a larger disk; after its plug was pulled.
#[test]
fn what_was_kept_outlives_every_end_and_a_larger_disk_is_used_whole() {
    let mut disk = ended_by_the_power_button("before");
    let small = blocks(&disk);
    disk.resize(disk.len() + 64 * MIB, 0);

    let second = Appliance::boot_from(disk, &[], |_| ());
    let status = second.wait_for_status("ready", |status| status["ready"] == true);
    let boot = (&status["boot"]["count"], &status["boot"]["last_end"]);
    assert_eq!(boot, (&json!(2), &json!("clean")));
    assert_keeps(&second, "before");
    let console = || second.guest.console().text();
    wait::expect("the file system has the rest", || {
        blocks(&second.disk().bytes()) >= small + 63 * MIB as u64 / 4096
    });
    assert!(console().contains("has the rest of its disk now"), "{}", console());

    let disk = second.disk().bytes();
    drop(second);
    let third = Appliance::boot_from(disk, &[], |_| ());
    let status = third.wait_for_status("ready", |status| status["ready"] == true);
    assert_eq!(status["boot"]["last_end"], "power-lost", "{status:#}");
    assert_keeps(&third, "before");
}

/// Sets the key and presses the power button. The disk as it left it.
fn ended_by_the_power_button(value: &str) -> Vec<u8> {
    let mut appliance = Appliance::boot_with_disk(&[], |machine| machine.reboots = false);
    set(&appliance, value);
    power_off(&mut appliance)
}

/// By the button: it ends in order, and says so. The disk as it left it.
pub(crate) fn power_off(appliance: &mut Appliance) -> Vec<u8> {
    appliance.qmp().ask("system_powerdown", json!({}));
    assert!(appliance.guest.wait_ended(BOOT).unwrap(), "{}", appliance.guest.console().tail());
    let console = appliance.guest.console().text();
    assert!(console.contains("the power button was pressed"), "{console}");
    let disk = appliance.disk().bytes();
    assert_eq!(incompatible(&disk) & NEEDS_RECOVERY, 0, "unmounted\n{console}");
    disk
}

/// Of the superblock: features without which it must not be mounted.
fn incompatible(disk: &[u8]) -> u32 {
    field(disk, 0x60)
}

/// On the disk, not in memory.
fn assert_keeps(appliance: &Appliance, value: &str) {
    let status = appliance.status_now();
    let console = || appliance.guest.console().text();
    assert!(!is_degraded(&status, "volatile-data"), "{status:#}\n{}", console());
    let kept = appliance.redis("redis-cli", &["get", "kept"]);
    assert_eq!(kept.trim_end(), value, "{}", console());
}

/// Blocks of 4096, of the superblock.
fn blocks(disk: &[u8]) -> u64 {
    u64::from(field(disk, 4))
}

/// The superblock begins 1024 bytes into the partition.
fn field(disk: &[u8], at: usize) -> u32 {
    let field = &disk[DATA_AT + 1024 + at..][..4];
    u32::from_le_bytes(field.try_into().unwrap())
}

/// A medium that errs is no evidence of life, or turns the file system read-only: either way the
/// machine starts anew, and what was kept is there once the medium is well.
#[test]
fn a_disk_that_refuses_writes_ends_the_run_and_not_the_data() {
    let mut appliance = Appliance::boot_with_disk(&["holdfast.watchdog=10"], |_| ());
    set(&appliance, "before");
    appliance.wait_for_status("ready", |status| status["ready"] == true);
    assert_eq!(appliance.redis("redis-cli", &["waitaof", "1", "0", "0"]), "1\n0\n");
    appliance.qmp().forget();
    appliance.disk().refuse_writes(true);
    // What nobody writes to, nobody finds unwritable before the boot record is due again. Whether
    // this is answered does not matter.
    let _ = command(appliance.guest.port(), &["SET", "lost", "x"]);
    let reset = appliance.qmp().wait_for("RESET", BOOT);
    appliance.disk().refuse_writes(false);
    assert!(reset.is_some(), "{}", appliance.guest.console().tail());
    let status = appliance
        .wait_for_status("back", |status| status["ready"] == true && status["boot"]["count"] == 2);
    assert!(!is_degraded(&status, "volatile-data"), "{status:#}");
    assert_ne!(status["boot"]["last_end"], "clean", "{status:#}");
    assert_eq!(appliance.redis("redis-cli", &["get", "kept"]), "before\n");
}

/// Scenario 19: the log fills the disk, beside a large snapshot that a small one replaces later.
#[test]
fn a_full_disk_refuses_writes_serves_reads_and_goes_on_once_it_has_room() {
    let appliance = Appliance::boot_with_disk(&[], |machine| machine.memory_mib = ROOMY_MIB);
    let port = appliance.guest.port();
    save_ballast(port);
    set(&appliance, "before");
    // Left to itself it would be written anew, again and again.
    well(port, &["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]);
    let refusal = fill_the_log(port);
    assert!(refusal.starts_with("-MISCONF "), "{refusal}");
    assert_keeps(&appliance, "before");
    let status = appliance.status_now();
    assert_eq!(status["watchdog"]["starved"], "no", "{status:#}");
    for name in ["server", "agent"] {
        assert_eq!(status["services"][name]["restarts"], 0, "{status:#}");
    }

    eventually_well(&appliance, &["SAVE"]);
    eventually_well(&appliance, &["SET", "kept", "after"]);
    assert_eq!(appliance.redis("redis-cli", &["waitaof", "1", "0", "0"]), "1\n0\n");
    let disk = appliance.disk().bytes();
    drop(appliance);
    let again = Appliance::boot_from(disk, &[], |machine| machine.memory_mib = ROOMY_MIB);
    assert_keeps(&again, "after");
}

/// A snapshot of 24 MiB, of what is in no log.
fn save_ballast(port: u16) {
    let large = "x".repeat(4 * MIB);
    well(port, &["CONFIG", "SET", "appendonly", "no"]);
    well(port, &["CONFIG", "SET", "rdbcompression", "no"]);
    for key in ["1", "2", "3", "4", "5", "6"] {
        well(port, &["SET", key, &large]);
    }
    well(port, &["SAVE"]);
    well(port, &["FLUSHALL"]);
    well(port, &["CONFIG", "SET", "appendonly", "yes"]);
}

#[track_caller]
fn well(port: u16, words: &[&str]) {
    assert_eq!(command(port, words).as_deref(), Some("+OK\r\n"), "{}", words[0]);
}

#[track_caller]
fn eventually_well(appliance: &Appliance, words: &[&str]) {
    let mut last = None;
    let done = wait::until(BOOT, || {
        last = command(appliance.guest.port(), words);
        (last.as_deref() == Some("+OK\r\n")).then_some(())
    });
    let console = || appliance.guest.console().tail();
    assert!(done.is_some(), "{words:?}: {last:?}\n{}", console());
}

/// Each command is logged whole, and leaves a key of one byte. The first answer that is not `+OK`.
fn fill_the_log(port: u16) -> String {
    let large = "x".repeat(4 * MIB);
    let mut replies =
        (0..DATA_MIB).map(|_| command(port, &["MSET", "large", &large, "large", "x"]));
    let refusal = replies.find(|reply| reply.as_deref() != Some("+OK\r\n"));
    refusal.flatten().expect("a disk of no more than this")
}

/// Bytes of somebody else are no reason to format.
#[test]
fn a_partition_with_something_else_is_left_alone() {
    let mut disk = blank_disk(64);
    disk[DATA_AT + 100_000] = 1;
    let appliance = Appliance::boot_from(disk.clone(), &[], |_| ());
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    assert!(is_degraded(&status, "volatile-data"), "{status:#}");
    assert!(appliance.disk().bytes() == disk, "not a byte was written");
}
