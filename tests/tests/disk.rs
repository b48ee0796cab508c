//! The disk image: the same bytes twice, and a machine that boots from it and keeps its data.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use holdfast_image::accel::Accel;
use holdfast_image::appliance::{self, Owner};
use holdfast_image::kernel::{Choice, Kernel};
use holdfast_image::machine::{Boot, Guest, Machine, WORDS};
use holdfast_image::{disk, ensure_packages, slot, static_binaries, uki};

/// Firmware, kernel and formatting under TCG on a busy machine.
const BOOT: Duration = Duration::from_secs(240);

/// What firmware takes to unpack Debian's kernel, and some.
const MEMORY_MIB: u32 = 256;

const DATA_MIB: u64 = 96;
const DATA_AT: u64 = disk::DATA_AT;

/// A fresh disk in `dir`, and its UKI.
fn make(dir: &Path, kernel: &Kernel) -> (PathBuf, Vec<u8>) {
    let path = dir.join("disk.img");
    let uki =
        appliance::uki(kernel, &static_binaries().unwrap(), &Owner::default(), &WORDS).unwrap();
    disk::write(&path, &uki, DATA_MIB).unwrap();
    (path, uki)
}

#[test]
fn the_same_source_gives_the_same_uki_and_the_same_disk() {
    let kernel = Choice::Quickest.get().unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, first_uki) = make(one.path(), &kernel);
    let (second, second_uki) = make(two.path(), &kernel);
    assert!(first_uki == second_uki, "the UKIs differ");
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "the disks differ");
    if kernel.modules.is_empty() {
        assert!(first_uki.len() <= uki::LIMIT, "our UKI has {} bytes", first_uki.len());
    }
}

#[test]
fn tools_of_others_find_no_fault_with_the_disk() {
    ensure_packages(&["gdisk", "dosfstools"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = make(dir.path(), &Choice::Quickest.get().unwrap());
    let report = run(Command::new("/sbin/sgdisk").arg("-v").arg(&image));
    assert!(report.contains("No problems found"), "{report}");
    let esp = dir.path().join("esp");
    let bytes = fs::read(&image).unwrap();
    for at in disk::SLOTS_AT {
        fs::write(&esp, &bytes[at as usize..][..slot::BYTES as usize]).unwrap();
        let report = run(Command::new("/sbin/fsck.vfat").args(["-n", "-v"]).arg(&esp));
        assert!(report.contains("FATs, 32 bit entries"), "{report}");
    }
}

#[test]
fn it_boots_under_uefi_and_what_is_on_its_data_partition_stays() {
    ensure_packages(&["e2fsprogs"]).unwrap();
    let kernel = Choice::Quickest.get().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = make(dir.path(), &kernel);
    assert!(!has_ext4(&image), "a fresh disk has an empty data partition");

    boot(&image, &kernel).stop().unwrap();
    assert!(has_ext4(&image), "the first boot makes the file system");
    assert_eq!(data_blocks(&image), DATA_MIB * 256, "and gives it the whole partition");
    // The machine lost its power; the journal is replayed, nothing else is to be found.
    let data = take_data(&image);
    let note = dir.path().join("note");
    fs::write(&note, "kept\n").unwrap();
    debugfs(&["-w"], &format!("write {} note", note.display()), &data);
    put_data(&image, &data);

    boot(&image, &kernel).stop().unwrap();
    let kept = debugfs(&[], "cat note", &take_data(&image));
    assert_eq!(kept, "kept\n", "the second boot did not format it again");
}

/// The data partition, checked, as a file of its own: e2fsck cannot replay a journal in place.
fn take_data(image: &Path) -> PathBuf {
    let path = image.with_extension("data");
    let bytes = fs::read(image).unwrap();
    fs::write(&path, &bytes[DATA_AT as usize..][..(DATA_MIB << 20) as usize]).unwrap();
    run(Command::new("/sbin/e2fsck").arg("-p").arg(&path));
    path
}

fn put_data(image: &Path, data: &Path) {
    let file = File::options().write(true).open(image).unwrap();
    file.write_all_at(&fs::read(data).unwrap(), DATA_AT).unwrap();
}

fn debugfs(options: &[&str], request: &str, data: &Path) -> String {
    run(Command::new("/sbin/debugfs").args(options).args(["-R", request]).arg(data))
}

/// Boots the disk and waits until its server answers.
fn boot(image: &Path, kernel: &Kernel) -> Guest {
    let boot = Boot::Uefi { disk: image.to_owned() };
    let accel = Accel::probe(kernel).unwrap();
    let machine = Machine { memory_mib: MEMORY_MIB, ..Machine::new(boot, accel) };
    let mut guest = machine.start().unwrap();
    guest.wait_ready(BOOT, || false).unwrap_or_else(|why| panic!("{why:#}"));
    guest
}

fn has_ext4(image: &Path) -> bool {
    superblock(image, 56, 2) == 0xef53
}

fn data_blocks(image: &Path) -> u64 {
    superblock(image, 4, 4)
}

/// A little-endian field of the data partition's ext4 superblock.
fn superblock(image: &Path, at: usize, len: usize) -> u64 {
    let bytes = fs::read(image).unwrap();
    let field = &bytes[DATA_AT as usize + 1024 + at..][..len];
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Runs a tool that must succeed; its standard output. e2fsck's 1 means "repaired", a replayed
/// journal included.
fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let fine = matches!(out.status.code(), Some(0 | 1));
    assert!(fine, "{command:?}: {}\n{text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}
