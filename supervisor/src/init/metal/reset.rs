//! Factory reset: everything on the data partition is thrown away at the next start.
//!
//! The order is a mark in the partition's first bytes, which ext4 leaves to boot loaders, so that it
//! is there whatever state the file system is in. The next start throws away the content and then the
//! mark, in this order: a power cut in between begins it anew.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};

use crate::console::say;
use crate::sys;

pub(super) const MARK: &[u8; 16] = b"HOLDFAST RESET\r\n";
/// What holds the file system's head, the mark included, and is zeroed last.
const HEAD_BYTES: u64 = 4096;
/// Zeroed after it; what the first boot looks at.
const EDGE_BYTES: u64 = 1 << 20;
const CHUNK: usize = 64 << 10;

static DEVICE: OnceLock<CString> = OnceLock::new();

/// The partition that is in use.
pub(super) fn remember(device: &Path) {
    if let Ok(path) = CString::new(device.as_os_str().as_bytes()) {
        let _ = DEVICE.set(path);
    }
}

/// After the unmount, in a child that may not allocate.
pub(crate) fn mark() {
    let Some(device) = DEVICE.get() else { return };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let marked = rustix::fs::open(device.as_c_str(), flags, Mode::empty()).and_then(|device| {
        rustix::io::pwrite(&device, MARK, 0)?;
        rustix::fs::fsync(&device)
    });
    if let Err(errno) = marked {
        say!("data: the reset cannot be marked: {errno}");
    }
}

pub(super) fn is_marked(head: &[u8]) -> bool {
    head.starts_with(MARK)
}

/// Makes the partition blank. What the disk can discard is discarded; of a disk that cannot, what was
/// written stays on it, without a file system that leads there.
pub(super) fn wipe(device: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).open(device)?;
    let bytes = file.seek(SeekFrom::End(0))?;
    if let Err(errno) = sys::disk::discard(&file, HEAD_BYTES, bytes.saturating_sub(HEAD_BYTES)) {
        say!("data: {} cannot discard: {errno}", device.display());
    }
    wipe_edges(&mut file, bytes, &mut |file| file.sync_all())
}

fn wipe_edges<F: Write + Seek>(
    file: &mut F,
    bytes: u64,
    sync: &mut dyn FnMut(&mut F) -> io::Result<()>,
) -> io::Result<()> {
    zero(file, bytes.saturating_sub(EDGE_BYTES).max(HEAD_BYTES), bytes)?;
    zero(file, HEAD_BYTES, EDGE_BYTES.min(bytes))?;
    sync(file)?;
    zero(file, 0, HEAD_BYTES.min(bytes))?;
    sync(file)
}

fn zero(file: &mut (impl Write + Seek), from: u64, to: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(from))?;
    let zeros = [0; CHUNK];
    let mut left = to.saturating_sub(from);
    while left > 0 {
        let now = left.min(CHUNK as u64);
        file.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn until_the_last_write_the_order_stands() {
        let bytes = 3 << 20;
        let mut disk = Cursor::new(vec![0xaa; bytes]);
        disk.write_all(MARK).unwrap();
        let mut syncs = 0;
        wipe_edges(&mut disk, bytes as u64, &mut |disk| {
            syncs += 1;
            assert_eq!(is_marked(disk.get_ref()), syncs == 1, "sync {syncs}");
            Ok(())
        })
        .unwrap();
        let disk = disk.into_inner();
        assert!(disk[..1 << 20].iter().chain(&disk[2 << 20..]).all(|&byte| byte == 0));
        assert_eq!(syncs, 2);
    }
}
