//! The appliance booted in QEMU, from kernel and initramfs: how it is made, asked and waited for.
//! With a disk of ours, which can fall silent, and QEMU's own control socket, when asked for.

pub mod qmp;
pub mod watchdog;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use holdfast_image::accel::Accel;
use holdfast_image::appliance::{self, Owner};
use holdfast_image::binaries::{Binaries, binaries_with_test_hooks, static_binaries};
use holdfast_image::initramfs::{self, Packing};
use holdfast_image::kernel::{Choice, Kernel};
use holdfast_image::machine::{Boot, Guest, Machine, WORDS};
use holdfast_image::rootfs::Tree;
use holdfast_image::{disk, ensure_packages, status};
use serde_json::Value;
use tempfile::TempDir;

use crate::guests::Place;
use crate::power_cuts::disk::Disk;
use crate::wait;
use qmp::Qmp;

/// Without KVM on a busy machine a boot takes its time, and so does a benchmark.
pub const BOOT: Duration = Duration::from_secs(180);

/// The least memory that is promised.
pub const MEMORY_MIB: u32 = 96;

/// Of the disk that [`Appliance::boot_with_disk`] makes.
pub const DATA_MIB: u64 = 64;

/// The appliance of the tests, and the files it booted from.
pub struct Appliance {
    pub guest: Guest,
    disk: Option<Disk>,
    qmp: Option<Qmp>,
    _files: TempDir,
    /// The last: free once the guest is gone.
    _place: Place,
}

impl Appliance {
    /// The usual small machine, serving.
    pub fn boot() -> Self {
        Self::boot_with(&[], |_| ())
    }

    /// With more words on the kernel command line, and another machine than the usual one.
    pub fn boot_with(words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        let mut appliance = Self::power_on(words, shape);
        appliance.guest.wait_ready(BOOT, || false).unwrap_or_else(|why| panic!("{why:#}"));
        appliance
    }

    /// With a fresh data disk and QMP; a machine that comes back when it is reset.
    pub fn boot_with_disk(words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        Self::boot_from(blank_disk(DATA_MIB), words, shape)
    }

    /// The same with a disk of these bytes.
    pub fn boot_from(disk: Vec<u8>, words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        let mut appliance = Self::power_on_from(disk, words, shape);
        appliance.guest.wait_ready(BOOT, || false).unwrap_or_else(|why| panic!("{why:#}"));
        appliance
    }

    /// The same, started and not waited for.
    pub fn power_on_from(disk: Vec<u8>, words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let disk = Disk::serve(disk, files.path().join("disk.socket")).unwrap();
        let drive = format!("if=none,id=disk,format=raw,file=nbd:unix:{}", disk.socket().display());
        let control = files.path().join("qmp.socket");
        let words = [&["holdfast.data=disk"], words].concat();
        let mut appliance = Self::power_on_in(files, &words, |machine| {
            machine.reboots = true;
            let words = ["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
            machine.extra.extend(words.map(OsString::from));
            machine.extra.extend(Qmp::words(&control).map(OsString::from));
            shape(machine);
        });
        appliance.disk = Some(disk);
        appliance.qmp = Some(Qmp::connect(&control));
        appliance
    }

    /// Started, not waited for.
    pub fn power_on(words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        Self::power_on_in(tempfile::tempdir().unwrap(), words, shape)
    }

    fn power_on_in(files: TempDir, words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        ensure_packages(&["redis-tools"]).unwrap();
        let place = Place::take();
        let Parts { kernel, initramfs, accel } = parts();
        let own = files.path().join("initramfs");
        fs::write(&own, initramfs).unwrap();
        let words = [&WORDS[..], &["holdfast.test_hooks=1"], words].concat();
        let cmdline = appliance::cmdline(&words);
        let boot = Boot::Direct { kernel: kernel.image.clone(), initramfs: Some(own), cmdline };
        let mut machine = Machine { memory_mib: MEMORY_MIB, ..Machine::new(boot, *accel) };
        shape(&mut machine);
        let guest = machine.start().unwrap();
        Self { guest, disk: None, qmp: None, _files: files, _place: place }
    }

    /// The disk of one that was booted with it.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("booted with a disk")
    }

    /// QEMU's control socket, likewise.
    pub fn qmp(&mut self) -> &mut Qmp {
        self.qmp.as_mut().expect("booted with a disk")
    }

    /// The agent's report; nothing while it is busy.
    pub fn status(&self) -> Option<Value> {
        let reply = status::ask(self.guest.status_port(), "status json").ok()?;
        Some(serde_json::from_str(&reply).unwrap_or_else(|why| panic!("{why}: {reply}")))
    }

    /// Waits until the report is as `holds` wants it; the report.
    #[track_caller]
    pub fn wait_for_status(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let reached = wait::until(BOOT, || {
            last = self.status()?;
            holds(&last).then_some(())
        });
        let console = self.guest.console().tail();
        assert!(reached.is_some(), "{what}: never\n{last:#}\n{console}");
        last
    }

    /// The report, however long a busy machine takes to tell it.
    #[track_caller]
    pub fn status_now(&self) -> Value {
        self.wait_for_status("an answer", |_| true)
    }

    /// Waits until what the report has of the service `server` is as `holds` wants it.
    #[track_caller]
    pub fn wait_for_server(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) {
        self.wait_for_status(what, |status| holds(&status["services"]["server"]));
    }

    pub fn signal(&self, name: &str) {
        self.hurt("server", name);
    }

    /// Asks a build with test hooks for a signal to a service, or for PID 1's own failure.
    #[track_caller]
    pub fn hurt(&self, whom: &str, how: &str) {
        let request = format!("signal {whom} {how}");
        let reply = status::ask(self.guest.status_port(), &request).unwrap_or_default();
        assert!(!reply.starts_with("error"), "{request}: {reply}");
    }

    pub fn redis(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("timeout");
        command.args([&BOOT.as_secs().to_string(), program]);
        command.args(["-p", &self.guest.port().to_string()]).args(arguments);
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{program} {arguments:?}: {text}");
        text
    }
}

/// What every appliance of the tests boots from.
struct Parts {
    kernel: Kernel,
    initramfs: Vec<u8>,
    accel: Accel,
}

/// Made once: packing takes longer than much of a boot.
fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let kernel = Choice::Quickest.get().unwrap();
        let owner = Owner::default();
        let initramfs = appliance::initramfs(&kernel, programs(), &owner, Packing::Quick).unwrap();
        let accel = Accel::probe(&kernel).unwrap();
        Parts { kernel, initramfs, accel }
    })
}

/// Puts these files over the appliance's: the kernel unpacks one archive after the other, and the
/// later file counts.
pub fn overlay(machine: &Machine, files: &Tree) {
    let Boot::Direct { initramfs: Some(initramfs), .. } = &machine.boot else {
        panic!("an appliance of the tests boots from an initramfs");
    };
    let packed = initramfs::pack(files, Packing::Quick).unwrap();
    let mut initramfs = OpenOptions::new().append(true).open(initramfs).unwrap();
    initramfs.write_all(&packed).unwrap();
}

/// A disk as it is flashed, its data partition empty, without a kernel.
pub fn blank_disk(data_mib: u64) -> Vec<u8> {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("disk.img");
    disk::write(&path, b"not used", data_mib).unwrap();
    fs::read(&path).unwrap()
}

/// A folder of ready programs is taken as it is: they must be built with the features that
/// `binaries_with_test_hooks` names.
pub fn programs() -> &'static Binaries {
    static PROGRAMS: OnceLock<Binaries> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let ready = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
        let built = if ready { static_binaries() } else { binaries_with_test_hooks() };
        built.unwrap_or_else(|why| panic!("{why:#}"))
    })
}
