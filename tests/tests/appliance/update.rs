//! Scenario 38, and what goes well: updates of a machine with UEFI firmware, from its console.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use holdfast_image::accel::Accel;
use holdfast_image::appliance::{self, Owner};
use holdfast_image::initramfs::{self, Packing};
use holdfast_image::kernel::{Choice, Kernel};
use holdfast_image::machine::{Boot, Guest, Machine, WORDS};
use holdfast_image::rootfs::Tree;
use holdfast_image::{disk, ensure_packages, slot, status, uki, update};
use holdfast_tests::appliance::{BOOT, programs};
use holdfast_tests::guests::Place;
use holdfast_tests::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::appliance::rig::command;

/// What firmware takes to unpack Debian's kernel, and some.
const MEMORY_MIB: u32 = 256;
const DATA_MIB: u64 = 128;

/// Quick to be content and to give up.
const CONFIG: &str = "[update]\nstable_ms = 1000\ndeadline_ms = 60000\n";
/// Its probe asks where nobody is.
const NEVER_READY: &str = "[server.probe]\naddress = \"127.0.0.1:1\"\n\
    [update]\nstable_ms = 1000\ndeadline_ms = 6000\n";

/// A machine that keeps its firmware's variables over its reboots.
struct Board {
    guest: Guest,
    disk: PathBuf,
    _files: TempDir,
    _place: Place,
}

fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(|| Choice::Quickest.get().unwrap())
}

/// A whole system with this holdfast.toml and these words behind its command line. Packed once: the
/// kernel unpacks one archive after the other, and the later file counts.
fn uki(config: &str, words: &[&str]) -> Vec<u8> {
    static COMMON: OnceLock<Vec<u8>> = OnceLock::new();
    let common = COMMON.get_or_init(|| {
        let owner = Owner::default();
        appliance::initramfs(kernel(), programs(), &owner, Packing::Quick).unwrap()
    });
    let mut own = Tree::default();
    own.configure(config);
    let own = initramfs::pack(&own, Packing::Quick).unwrap();
    // Each archive begins at a multiple of four bytes.
    let padding = vec![0; common.len().next_multiple_of(4) - common.len()];
    let words = [&["holdfast.data=disk"], &WORDS[..], words].concat();
    uki::build(kernel(), &[&common[..], &padding, &own].concat(), &appliance::cmdline(&words))
        .unwrap()
}

fn good() -> &'static [u8] {
    static UKI: OnceLock<Vec<u8>> = OnceLock::new();
    UKI.get_or_init(|| uki(CONFIG, &[]))
}

/// An update whose body is that system.
fn update_to(uki: &[u8]) -> Vec<u8> {
    update::file(&slot::image(uki).unwrap(), update::BOARD, "9.8.7")
}

impl Board {
    /// Booted from a fresh disk with `files` in /data, serving.
    fn boot(files: &[(&str, &[u8])]) -> Self {
        ensure_packages(&["e2fsprogs", "redis-tools"]).unwrap();
        let place = Place::take();
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk.img");
        disk::write(&image, good(), DATA_MIB).unwrap();
        fill_data(&image, dir.path(), files);
        let boot = Boot::Uefi { disk: image.clone() };
        let accel = Accel::probe(kernel()).unwrap();
        let machine =
            Machine { memory_mib: MEMORY_MIB, reboots: true, ..Machine::new(boot, accel) };
        let guest = machine.start().unwrap();
        Self { guest, disk: image, _files: dir, _place: place }
    }

    /// Types it; what the console shows from then on, once `answer` is in it.
    #[track_caller]
    fn type_in(&self, text: &str, answer: &str) -> String {
        let before = self.guest.console().text().len();
        self.guest.keyboard().type_in(text.as_bytes()).unwrap();
        let since = || self.guest.console().text().get(before..).unwrap_or_default().to_owned();
        let answered = wait::until(BOOT, || since().contains(answer).then_some(()));
        assert!(answered.is_some(), "{text:?}: no {answer:?}\n{}", since());
        since()
    }

    /// The report of the `count`th start, once it is as `holds` wants it. Each of the `boots` on the
    /// way to it has its own time: with others on the processors firmware alone takes a minute.
    #[track_caller]
    fn wait_for(
        &self,
        boots: u32,
        count: u64,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let reached = wait::until(boots * BOOT, || {
            let reply = status::ask(self.guest.status_port(), "status json").ok()?;
            last = serde_json::from_str(&reply).ok()?;
            (last["boot"]["count"] == count && holds(&last)).then_some(())
        });
        let console = self.guest.console().text();
        assert!(reached.is_some(), "start {count}, {what}: never\n{last:#}\n{console}");
        last
    }

    /// Both slots' bytes.
    fn slots(&self) -> [Vec<u8>; 2] {
        let disk = File::open(&self.disk).unwrap();
        disk::SLOTS_AT.map(|at| {
            let mut bytes = vec![0; slot::BYTES as usize];
            disk.read_exact_at(&mut bytes, at).unwrap();
            bytes
        })
    }

    #[track_caller]
    fn assert_keeps(&self, value: &str) {
        let port = self.guest.port().to_string();
        let out = Command::new("redis-cli").args(["-p", &port, "get", "kept"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim_end(), value);
    }
}

/// A file system with these files in the place of the blank partition.
fn fill_data(image: &Path, dir: &Path, files: &[(&str, &[u8])]) {
    let (folder, partition) = (dir.join("data"), dir.join("partition"));
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let made = Command::new("/sbin/mke2fs")
        .args(["-q", "-t", "ext4", "-b", "4096", "-d"])
        .args([&folder, &partition])
        .arg(format!("{DATA_MIB}M"))
        .status()
        .unwrap();
    assert!(made.success());
    let image = File::options().write(true).open(image).unwrap();
    image.write_all_at(&fs::read(&partition).unwrap(), disk::DATA_AT).unwrap();
    fs::remove_file(&partition).unwrap();
}

fn is_ready(status: &Value) -> bool {
    status["ready"] == true && status["update"]["trial"] == false
}

#[track_caller]
fn assert_runs(status: &Value, slot: &str, good: &str) {
    let update = &status["update"];
    assert_eq!((&update["running"], &update["good"]), (&json!(slot), &json!(good)), "{status:#}");
}

/// Three starts: of slot A; of slot B on trial, which is kept; of slot B. Before it what is refused.
#[test]
fn an_update_is_tried_and_kept_and_what_is_no_good_update_changes_nothing() {
    let whole = update_to(good());
    let mut damaged = update::file(&[7; 100_000], update::BOARD, "9.8.7");
    damaged[5000] ^= 1;
    let other = update::file(&[7; 100_000], "toaster", "9.8.7");
    let large = update::file(&vec![7; slot::BYTES as usize + 512], update::BOARD, "9.8.7");
    let machine = Board::boot(&[
        ("damaged", &damaged),
        ("short", &whole[..1 << 20]),
        ("other", &other),
        ("large", &large),
    ]);
    let first = machine.wait_for(1, 1, "ready", is_ready);
    assert_eq!(first["update"]["running"], "a", "{first:#}");
    assert_eq!(first["update"]["obstacle"], Value::Null, "{first:#}");
    let before = machine.slots();
    for (file, why) in [
        ("damaged", "its body has another checksum"),
        ("short", "the update is cut off"),
        ("other", "the update is for toaster; this machine is x86_64-efi"),
        ("large", "the update needs a slot of"),
        ("none", "No such file"),
    ] {
        let shown = machine.type_in(&format!("holdfast update /data/{file}\n"), why);
        assert!(shown.contains("not done: "), "{shown}");
    }
    let reply = command(machine.guest.port(), &["SET", "kept", "before"]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"));
    put(&machine, &whole);
    let id = update::id(&whole);
    let wrong = "0".repeat(64);
    machine.type_in(&format!("holdfast update key image {wrong}\n"), "another update");
    assert!(machine.slots() == before, "not a byte of a slot was written");

    machine.type_in(&format!("holdfast update key image {id}\n"), "9.8.7, in the place of");
    let second = machine.wait_for(1, 2, "kept", |status| {
        is_ready(status) && status["update"]["last"]["outcome"] == "kept"
    });
    assert_runs(&second, "b", "b");
    assert_eq!(second["update"]["last"]["id"], id, "{second:#}");
    assert_eq!(second["init_allocations"], 0, "{second:#}");
    machine.assert_keeps("before");
    let left = command(machine.guest.port(), &["EXISTS", "holdfast:update:trial"]);
    assert_eq!(left.as_deref(), Some(":0\r\n"));
    let [a, b] = machine.slots();
    assert!(a == before[0] && b.starts_with(&whole[512..]));

    machine.type_in("holdfast reboot\n", "stops everything");
    let third = machine.wait_for(1, 3, "ready", is_ready);
    assert_runs(&third, "b", "b");
    machine.assert_keeps("before");
    let console = machine.guest.console().text();
    assert_eq!(console.matches("holdfast-init: slots: ").count(), 0, "{console}");
}

/// Five starts: of slot A; of B, where the server is never ready, and back; of B, which panics at
/// once and leaves no word on the disk, and back.
#[test]
fn a_version_that_does_no_good_is_left_within_two_reboots_and_status_says_why() {
    let never_ready = update_to(&uki(NEVER_READY, &[]));
    let panics = update_to(&uki(CONFIG, &["rdinit=/none"]));
    let machine = Board::boot(&[("never-ready", &never_ready), ("panics", &panics)]);
    machine.wait_for(1, 1, "ready", is_ready);
    let reply = command(machine.guest.port(), &["SET", "kept", "before"]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"));

    machine.type_in("holdfast update /data/never-ready\n", "slot b is written");
    let third = machine.wait_for(2, 3, "back", is_ready);
    assert_runs(&third, "a", "a");
    let last = &third["update"]["last"];
    assert_eq!(last["outcome"], "rolled-back", "{third:#}");
    let reason = last["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the server was not ready for 1 s within 6 s"), "{reason}");
    let shown = machine.type_in("holdfast status\n", "allocations since start-up");
    assert!(shown.contains("rolled back: the server was not ready"), "{shown}");

    machine.type_in("holdfast update /data/panics\n", "slot b is written");
    // The kernel that panicked did not count.
    let fourth = machine.wait_for(2, 4, "back", is_ready);
    assert_runs(&fourth, "a", "a");
    let last = &fourth["update"]["last"];
    assert_eq!(last["outcome"], "rolled-back", "{fourth:#}");
    let reason = last["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("it panicked") || reason.contains("never came to /data"), "{reason}");
    machine.assert_keeps("before");
}

/// As a user does: `redis-cli -x SET image < FILE`.
fn put(machine: &Board, update: &[u8]) {
    use std::io::Write;
    use std::process::Stdio;

    let mut cli = Command::new("redis-cli")
        .args(["-p", &machine.guest.port().to_string(), "-x", "SET", "image"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    cli.stdin.take().unwrap().write_all(update).unwrap();
    assert!(cli.wait().unwrap().success());
}
