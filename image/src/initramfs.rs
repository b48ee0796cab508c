//! The initramfs: the file list as a zstd-compressed newc archive. Same list, same bytes.

use std::io::Write;

use anyhow::{Context, Result};
use cpio::newc::{self, ModeFileType};

use crate::rootfs::{Entry, Kind, Tree};

/// How hard to try. Both are quick to unpack; the kernel's own limit is a window of 128 MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packing {
    /// For flash: takes 8 s.
    Small,
    /// For a machine that is waited for: half a second, a fifth larger.
    Quick,
}

impl Packing {
    /// As zstd counts.
    fn level(self) -> i32 {
        match self {
            Self::Small => 19,
            Self::Quick => 9,
        }
    }
}

/// Packs `tree`.
pub fn pack(tree: &Tree, packing: Packing) -> Result<Vec<u8>> {
    let archive = archive(tree).context("cannot write the cpio archive")?;
    zstd::bulk::compress(&archive, packing.level()).context("cannot compress the initramfs")
}

fn archive(tree: &Tree) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (inode, (path, entry)) in (1..).zip(tree.iter()) {
        let body = body(entry);
        let size = u32::try_from(body.len()).map_err(std::io::Error::other)?;
        let mut file = header(path, entry).ino(inode).write(&mut out, size);
        file.write_all(body)?;
        file.finish()?;
    }
    newc::trailer(&mut out)?;
    Ok(out)
}

/// Times stay at zero: nothing here depends on when it was built.
fn header(path: &str, entry: &Entry) -> newc::Builder {
    let header = newc::Builder::new(path).uid(entry.owner).gid(entry.owner).mode(entry.mode);
    match entry.kind {
        Kind::Dir => header.nlink(2).set_mode_file_type(ModeFileType::Directory),
        Kind::File(_) => header.nlink(1).set_mode_file_type(ModeFileType::Regular),
        Kind::Link(_) => header.nlink(1).set_mode_file_type(ModeFileType::Symlink),
        Kind::Device(major, minor) => {
            let header = header.nlink(1).rdev_major(major).rdev_minor(minor);
            header.set_mode_file_type(ModeFileType::Char)
        }
    }
}

fn body(entry: &Entry) -> &[u8] {
    match &entry.kind {
        Kind::File(bytes) => bytes,
        Kind::Link(to) => to.as_bytes(),
        Kind::Dir | Kind::Device(..) => &[],
    }
}
