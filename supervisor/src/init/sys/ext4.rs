//! Growing a mounted ext4.

use std::os::fd::AsFd;

use rustix::ioctl::{Setter, ioctl, opcode};

/// `EXT4_IOC_RESIZE_FS`, `_IOW('f', 16, __u64)` of the kernel's fs/ext4/ext4.h: the wanted number
/// of blocks.
const RESIZE_FS: rustix::ioctl::Opcode = opcode::write::<u64>(b'f', 16);

/// Makes the file system below `mounted` that many blocks big. It may be so already.
pub(crate) fn resize(mounted: impl AsFd, blocks: u64) -> rustix::io::Result<()> {
    // SAFETY: the opcode has the kernel read one u64 through the pointer that `Setter` passes, and
    // file systems other than ext4 refuse it.
    unsafe { ioctl(mounted, Setter::<RESIZE_FS, u64>::new(blocks)) }
}
