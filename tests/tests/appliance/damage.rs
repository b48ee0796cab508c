//! File systems of the data partition that are damaged, and what is done and told: no e2fsck is in the
//! image.

use std::fs;
use std::process::Command;

use holdfast_image::ensure_packages;
use holdfast_tests::appliance::{DATA_MIB, blank_disk};

use crate::appliance::partition::{DATA_AT, MIB};
use crate::appliance::rig::{Appliance, command, is_degraded};

/// ext4's superblock: its checksum covers this byte of s_r_blocks_count, which does no harm itself.
const RESERVED_AT: usize = DATA_AT + 1024 + 8;

/// A disk whose partition somebody else has formatted, with these words for debugfs.
fn formatted(request: &str) -> Vec<u8> {
    ensure_packages(&["e2fsprogs"]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let partition = files.path().join("partition");
    let size = DATA_MIB as usize * MIB;
    fs::write(&partition, vec![0; size]).unwrap();
    let run = |command: &mut Command| {
        let out = command.arg(&partition).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    run(Command::new("/sbin/mke2fs").args(["-q", "-t", "ext4", "-b", "4096"]));
    run(Command::new("/sbin/debugfs").args(["-w", "-R", request]));
    let mut disk = blank_disk(DATA_MIB);
    disk[DATA_AT..DATA_AT + size].copy_from_slice(&fs::read(&partition).unwrap());
    disk
}

/// The kernel has met errors in it before: what is there is served, and a person is told for as long
/// as nobody has repaired it.
#[test]
fn a_file_system_marked_with_errors_is_served_and_told() {
    let appliance = Appliance::boot_from(formatted("set_super_value state 2"), &[], |_| ());
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    assert!(is_degraded(&status, "data-unsound"), "{status:#}");
    assert!(!is_degraded(&status, "volatile-data"), "{status:#}");
    let reply = command(appliance.guest.port(), &["SET", "kept", "x"]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"));
    assert_eq!(appliance.redis("redis-cli", &["waitaof", "1", "0", "0"]), "1\n0\n");
}

/// One that the kernel refuses is somebody's data all the same.
#[test]
fn a_file_system_that_cannot_be_mounted_is_left_alone_and_told() {
    let mut disk = formatted("set_super_value state 1");
    disk[RESERVED_AT] ^= 1;
    let appliance = Appliance::boot_from(disk.clone(), &[], |_| ());
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    for code in ["data-unsound", "volatile-data"] {
        assert!(is_degraded(&status, code), "{code}: {status:#}");
    }
    assert!(appliance.disk().bytes() == disk, "not a byte was written");
}
