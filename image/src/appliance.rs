//! The appliance's parts put together: file list, initramfs, command line, UKI.

use anyhow::Result;

use crate::binaries::Binaries;
use crate::kernel::{Kernel, Module};
use crate::rootfs::Tree;
use crate::{blank_ext4, initramfs, uki};

/// Both consoles; nothing from the kernel but its worries; a panic starts the machine again; and some
/// memory that a warm start leaves alone keeps what was said last.
pub const CMDLINE: &str = "console=tty0 console=ttyS0,115200 quiet panic=5 \
    reserve_mem=64K:4096:last-words ramoops.mem_name=last-words ramoops.record_size=16384";

/// The appliance's files, with what `modules` the kernel has init load.
pub fn files(modules: &[Module], binaries: &Binaries) -> Result<Tree> {
    Tree::appliance(binaries, modules, &blank_ext4::packed()?)
}

/// The initramfs for `kernel`: its modules are in it.
pub fn initramfs(kernel: &Kernel, binaries: &Binaries) -> Result<Vec<u8>> {
    initramfs::pack(&files(&kernel.modules, binaries)?)
}

/// The whole operating system as one EFI file for the disk, so init waits for the data partition.
/// `words` follow the usual command line.
pub fn uki(kernel: &Kernel, binaries: &Binaries, words: &[&str]) -> Result<Vec<u8>> {
    let all = [&["holdfast.data=disk"], words].concat();
    uki::build(kernel, &initramfs(kernel, binaries)?, &cmdline(&all))
}

/// The usual command line with `words` behind it.
pub fn cmdline(words: &[&str]) -> String {
    [&[CMDLINE], words].concat().join(" ")
}
