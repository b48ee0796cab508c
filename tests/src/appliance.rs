//! The appliance booted in QEMU, from kernel and initramfs: how it is made, asked and waited for.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use holdfast_image::accel::Accel;
use holdfast_image::binaries::{Binaries, binaries_with_test_hooks, static_binaries};
use holdfast_image::kernel::Choice;
use holdfast_image::machine::{Boot, Guest, Machine, WORDS};
use holdfast_image::{appliance, ensure_packages, status};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// Without KVM on a busy machine a boot takes its time, and so does a benchmark.
pub const BOOT: Duration = Duration::from_secs(180);

/// The least memory that is promised.
pub const MEMORY_MIB: u32 = 96;

/// The appliance of the tests, and the files it booted from.
pub struct Appliance {
    pub guest: Guest,
    _files: TempDir,
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

    /// Started, not waited for.
    pub fn power_on(words: &[&str], shape: impl FnOnce(&mut Machine)) -> Self {
        ensure_packages(&["redis-tools"]).unwrap();
        let kernel = Choice::Quickest.get().unwrap();
        let files = tempfile::tempdir().unwrap();
        let initramfs = files.path().join("initramfs");
        fs::write(&initramfs, appliance::initramfs(&kernel, programs()).unwrap()).unwrap();
        let words = [&WORDS[..], &["holdfast.test_hooks=1"], words].concat();
        let accel = Accel::probe(&kernel).unwrap();
        let cmdline = appliance::cmdline(&words);
        let boot = Boot::Direct { kernel: kernel.image, initramfs: Some(initramfs), cmdline };
        let mut machine = Machine { memory_mib: MEMORY_MIB, ..Machine::new(boot, accel) };
        shape(&mut machine);
        Self { guest: machine.start().unwrap(), _files: files }
    }

    /// The agent's report; nothing while it is busy.
    pub fn status(&self) -> Option<Value> {
        let reply = status::ask(self.guest.status_port(), "status json").ok()?;
        Some(serde_json::from_str(&reply).unwrap_or_else(|why| panic!("{why}: {reply}")))
    }

    /// Waits until the report of the service `server` is as `holds` wants it.
    #[track_caller]
    pub fn wait_for_server(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) {
        let mut last = Value::Null;
        let reached = wait::until(BOOT, || {
            last = self.status()?;
            holds(&last["services"]["server"]).then_some(())
        });
        let console = self.guest.console().tail();
        assert!(reached.is_some(), "{what}: never\n{last:#}\n{console}");
    }

    pub fn signal(&self, name: &str) {
        let request = format!("signal server {name}");
        let reply = status::ask(self.guest.status_port(), &request).unwrap();
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

/// A folder of ready programs is taken as it is: they must be built with the features that
/// `binaries_with_test_hooks` names.
fn programs() -> &'static Binaries {
    static PROGRAMS: OnceLock<Binaries> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let ready = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
        let built = if ready { static_binaries() } else { binaries_with_test_hooks() };
        built.unwrap_or_else(|why| panic!("{why:#}"))
    })
}
