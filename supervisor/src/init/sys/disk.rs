//! What disks are told by ioctl: grow a mounted ext4, read the partition table again, discard.

use std::os::fd::AsFd;

use rustix::ioctl::{NoArg, Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_RESIZE_FS`, `_IOW('f', 16, __u64)` of the kernel's fs/ext4/ext4.h: the wanted number
/// of blocks.
const RESIZE_FS: Opcode = opcode::write::<u64>(b'f', 16);
/// `BLKRRPART` and `BLKDISCARD` of linux/fs.h.
const READ_PARTITIONS: Opcode = opcode::none(0x12, 95);
const DISCARD: Opcode = opcode::none(0x12, 119);

/// Makes the file system below `mounted` that many blocks big. It may be so already.
pub(crate) fn resize(mounted: impl AsFd, blocks: u64) -> rustix::io::Result<()> {
    // SAFETY: the opcode has the kernel read one u64 through the pointer that `Setter` passes, and
    // file systems other than ext4 refuse it.
    unsafe { ioctl(mounted, Setter::<RESIZE_FS, u64>::new(blocks)) }
}

/// Has the kernel look at the partition table again; refused while a partition is in use.
pub(crate) fn read_partitions(disk: impl AsFd) -> rustix::io::Result<()> {
    // SAFETY: the call has no argument.
    unsafe { ioctl(disk, NoArg::<READ_PARTITIONS>::new()) }
}

/// Tells the disk that these bytes are not needed any more. Not every disk can be told.
pub(crate) fn discard(disk: impl AsFd, from: u64, bytes: u64) -> rustix::io::Result<()> {
    // SAFETY: the opcode has the kernel read two u64 through the pointer that `Setter` passes.
    unsafe { ioctl(disk, Setter::<DISCARD, [u64; 2]>::new([from, bytes])) }
}
