//! The appliance in QEMU, with a disk whose power is cut: what the guest had not written is lost,
//! and of what the disk had in its cache some sectors are lost, too.

use std::fmt::Display;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use holdfast_image::accel::Accel;
use holdfast_image::appliance::{self, Owner};
use holdfast_image::initramfs::Packing;
use holdfast_image::kernel::{Choice, Kernel};
use holdfast_image::machine::{Boot, Guest, Machine, WORDS};
use holdfast_image::{disk as image, static_binaries};
use tempfile::TempDir;

use super::disk::Disk;
use super::{Policy, Victim};
use crate::fuzz::Random;

/// Without KVM on a busy machine a boot takes its time.
const BOOT: Duration = Duration::from_secs(240);

const MEMORY_MIB: u32 = 128;
const DATA_MIB: u64 = 96;

pub struct Appliance {
    machine: Machine,
    guest: Option<Guest>,
    disk: Disk,
    /// What the machine had said when its power was cut.
    last_words: String,
    _files: TempDir,
}

impl Appliance {
    pub fn start(policy: Policy) -> Result<Self, String> {
        let files = TempDir::with_prefix("holdfast-power-").map_err(|e| e.to_string())?;
        let kernel = Choice::Quickest.get().map_err(said)?;
        let disk = blank_disk(&files)?;
        let boot = boot(&kernel, policy, &files)?;
        let accel = Accel::probe(&kernel).map_err(said)?;
        let drive = format!("if=none,id=disk,format=raw,file=nbd:unix:{}", disk.socket().display());
        let extra = ["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
        let extra = extra.map(Into::into).to_vec();
        let machine = Machine { memory_mib: MEMORY_MIB, extra, ..Machine::new(boot, accel) };
        let mut appliance =
            Self { machine, guest: None, disk, last_words: String::new(), _files: files };
        appliance.restore()?;
        Ok(appliance)
    }
}

/// A disk with an empty data partition; the machine boots from elsewhere, which is quicker.
fn blank_disk(files: &TempDir) -> Result<Disk, String> {
    let path = files.path().join("disk.img");
    image::write(&path, b"not used", DATA_MIB).map_err(said)?;
    let bytes = fs::read(&path).map_err(|e| e.to_string())?;
    Disk::serve(bytes, files.path().join("disk.socket")).map_err(|e| e.to_string())
}

/// An error of the image tool, with its causes.
fn said(why: impl Display) -> String {
    format!("{why:#}")
}

fn boot(kernel: &Kernel, policy: Policy, files: &TempDir) -> Result<Boot, String> {
    let initramfs: PathBuf = files.path().join("initramfs");
    let binaries = static_binaries().map_err(said)?;
    let bytes =
        appliance::initramfs(kernel, &binaries, &Owner::default(), Packing::Quick).map_err(said)?;
    fs::write(&initramfs, bytes).map_err(|e| e.to_string())?;
    let server = ["--appendonly", "yes", "--appendfsync", policy.word()];
    let often = ["--auto-aof-rewrite-min-size", "256kb"];
    let arguments = server.iter().chain(&often).map(|word| format!("holdfast.arg={word}"));
    let own: Vec<String> = ["holdfast.data=disk".to_owned()].into_iter().chain(arguments).collect();
    let words: Vec<&str> = WORDS.into_iter().chain(own.iter().map(String::as_str)).collect();
    let cmdline = appliance::cmdline(&words);
    Ok(Boot::Direct { kernel: kernel.image.clone(), initramfs: Some(initramfs), cmdline })
}

impl Victim for Appliance {
    fn address(&self) -> SocketAddr {
        let port = self.guest.as_ref().map_or(0, Guest::port);
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// The disk goes first: what reaches it while QEMU dies is not written any more.
    fn cut(&mut self, random: &mut Random) -> Result<(), String> {
        self.disk.cut(random);
        let Some(guest) = self.guest.take() else { return Ok(()) };
        self.last_words = guest.console().tail();
        guest.stop().map_err(said)
    }

    fn restore(&mut self) -> Result<(), String> {
        self.disk.power_on();
        let guest = self.guest.insert(self.machine.start().map_err(said)?);
        guest.wait_ready(BOOT, || false).map_err(said).map(drop)
    }

    fn words(&self) -> String {
        let console = self.guest.as_ref().map(|guest| guest.console().tail());
        let now = console.unwrap_or_default();
        format!("{}\nbefore the cut:\n{}\nafter it:\n{now}", self.disk.words(), self.last_words)
    }
}
