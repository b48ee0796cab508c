//! The appliance's parts put together: file list, initramfs, command line, UKI.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binaries::Binaries;
use crate::initramfs::Packing;
use crate::kernel::{Kernel, Module};
use crate::rootfs::Tree;
use crate::{blank_ext4, initramfs, uki};

/// Both consoles; nothing from the kernel but its worries; a panic starts the machine again; and some
/// memory that a warm start leaves alone keeps what was said last.
pub const CMDLINE: &str = "console=tty0 console=ttyS0,115200 quiet panic=5 \
    reserve_mem=64K:4096:last-words ramoops.mem_name=last-words ramoops.record_size=16384";

/// What an owner adds to the appliance.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The text of a `holdfast.toml` in place of the shipped one.
    config: Option<String>,
}

impl Owner {
    /// With the file that the agent itself finds no mistake in; its words about one are the error.
    pub fn with_config(file: Option<&Path>, binaries: &Binaries) -> Result<Self> {
        let Some(file) = file else { return Ok(Self::default()) };
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let checked = Command::new(&binaries.agent).arg("check").arg(file).output();
        let checked = checked.context("holdfast-agent check does not run")?;
        if !checked.status.success() {
            bail!("{}", String::from_utf8_lossy(&checked.stderr).trim_end());
        }
        Ok(Self { config: Some(text) })
    }
}

/// The appliance's files, with what `modules` the kernel has init load.
pub fn files(modules: &[Module], binaries: &Binaries) -> Result<Tree> {
    Tree::appliance(binaries, modules, &blank_ext4::packed()?)
}

/// The initramfs for `kernel`: its modules are in it, and the owner's holdfast.toml where there is one.
pub fn initramfs(
    kernel: &Kernel,
    binaries: &Binaries,
    owner: &Owner,
    packing: Packing,
) -> Result<Vec<u8>> {
    let mut files = files(&kernel.modules, binaries)?;
    if let Some(text) = &owner.config {
        files.configure(text);
    }
    initramfs::pack(&files, packing)
}

/// The whole operating system as one EFI file for the disk, so init waits for the data partition.
/// `words` follow the usual command line.
pub fn uki(kernel: &Kernel, binaries: &Binaries, owner: &Owner, words: &[&str]) -> Result<Vec<u8>> {
    let all = [&["holdfast.data=disk"], words].concat();
    uki::build(kernel, &initramfs(kernel, binaries, owner, Packing::Small)?, &cmdline(&all))
}

/// The usual command line with `words` behind it.
pub fn cmdline(words: &[&str]) -> String {
    [&[CMDLINE], words].concat().join(" ")
}
