//! `/data`: the partition named `holdfast-data`, formatted on first boot, or memory when there is none.
//!
//! A partition is only ever formatted when it is blank: its first block and its last 64 KiB are
//! zero, and every other byte of its first MiB is zero or what formatting puts there, which is what
//! a power cut during the first boot leaves. Anything else that is not ext4 is somebody's data, and
//! is left alone.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::cmdline::DataHint;
use holdfast_supervisor::paths;
use rustix::fs::{Gid, Mode, Uid};
use rustix::mount::MountFlags;

use super::blank::Blank;
use super::fsck::{self, Outcome};
use super::{partition, reset};
use crate::console::say;
use crate::finish::pause;
use crate::sys;

/// USB disks and SD cards take seconds to appear.
const DISK_WAIT_MS: Ms = 10_000;
const HEAD_BYTES: usize = 1 << 20;
const TAIL_BYTES: usize = 64 << 10;
/// Where ext4 keeps its magic number: superblock at 1024, field at 56 (ext4 layout, s_magic).
const EXT4_MAGIC_AT: usize = 1024 + 56;
const EXT4_MAGIC: [u8; 2] = [0x53, 0xef];
/// The field behind it, s_state, and its bit for "errors were found".
const EXT4_STATE_AT: usize = EXT4_MAGIC_AT + 2;
const EXT4_ERRORS: u8 = 2;
const BLANK: &str = "/usr/lib/holdfast/data.blank";
/// Of the file systems we make.
const BLOCK_BYTES: u64 = 4096;
/// What only the agent's group may fill is kept free by mke2fs; times are written when an inode is.
const OPTIONS: &std::ffi::CStr = c"errors=remount-ro,resgid=998";
const FLAGS: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::LAZYTIME);

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Blank,
    Ext4,
    Other,
}

/// What became of /data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Data {
    /// What is in it outlives the power.
    pub persistent: bool,
    /// The file system was marked with errors: the run before this one met some.
    pub had_errors: bool,
    /// It has errors still, or more than could be repaired.
    pub unsound: bool,
}

/// `alive` is called while there is nothing to do but wait.
pub(crate) fn mount(hint: DataHint, alive: &mut dyn FnMut()) -> Data {
    let _ = rustix::fs::mkdir(paths::DATA, Mode::from(0o755));
    let mut data = Data::default();
    if let Some(device) = find_partition(hint, alive)
        && let Err(why) = mount_partition(&device, &mut data, alive)
    {
        say!("data: {why}");
    }
    if !data.persistent {
        mount_memory();
    }
    give_to_service(paths::DATA);
    // The agent, of the service's group, puts back what a backup held.
    let _ = rustix::fs::chmod(paths::DATA, Mode::from(0o775));
    data
}

/// The service's user owns its data; what is inside is its own business.
pub(crate) fn give_to_service(path: &str) {
    let (uid, gid) = (Uid::from_raw(paths::SERVICE_UID), Gid::from_raw(paths::SERVICE_GID));
    let owned =
        fs::metadata(path).is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) != 0);
    if !owned && let Err(errno) = rustix::fs::chown(path, Some(uid), Some(gid)) {
        say!("cannot give {path} to the service's user: {errno}");
    }
}

fn mount_memory() {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if let Err(errno) = rustix::mount::mount("tmpfs", paths::DATA, "tmpfs", flags, c"mode=0755") {
        say!("data: cannot mount a tmpfs on /data: {errno}");
    }
}

fn find_partition(hint: DataHint, alive: &mut dyn FnMut()) -> Option<PathBuf> {
    let wait_ms = match hint {
        DataHint::Memory => return None,
        DataHint::Unsaid => 0,
        DataHint::Disk => DISK_WAIT_MS,
    };
    let until = now_ms() + wait_ms;
    loop {
        if let Some(device) = partition::look() {
            return Some(device);
        }
        if now_ms() >= until {
            if hint == DataHint::Disk {
                say!("data: no partition named holdfast-data within {} s", DISK_WAIT_MS / 1000);
            }
            return None;
        }
        alive();
        pause();
    }
}

fn mount_partition(device: &Path, data: &mut Data, alive: &mut dyn FnMut()) -> Result<(), String> {
    partition::grow(device);
    let shown = device.display();
    let blank = fs::read(BLANK).unwrap_or_default();
    let blank = Blank::parse(&blank);
    let formatted = blank.as_ref().map(|blank| blank.head(HEAD_BYTES)).unwrap_or_default();
    let unreadable = |error| format!("cannot read {shown}: {error}");
    let mut ends = Ends::read(device).map_err(unreadable)?;
    if reset::is_marked(&ends.head) {
        say!("data: {shown} is reset to factory state");
        reset::wipe(device).map_err(|error| format!("cannot wipe {shown}: {error}"))?;
        ends = Ends::read(device).map_err(unreadable)?;
    }
    match classify(&ends.head, &ends.tail, &formatted) {
        Content::Ext4 => check(device, &ends, data, alive)?,
        Content::Blank => {
            say!("data: {shown} is blank; making a file system");
            let blank = blank.ok_or_else(|| format!("{BLANK} is missing or damaged"))?;
            make(device, &blank).map_err(|why| format!("cannot format {shown}: {why}"))?;
        }
        Content::Other => {
            return Err(format!("{shown} holds something that is not ext4; it is left alone"));
        }
    }
    if let Err(errno) = rustix::mount::mount(device, paths::DATA, "ext4", FLAGS, OPTIONS) {
        data.unsound = true;
        return Err(format!("cannot mount {shown}: {errno}; it is left alone"));
    }
    data.persistent = true;
    reset::remember(device);
    grow(device);
    Ok(())
}

fn check(
    device: &Path,
    ends: &Ends,
    data: &mut Data,
    alive: &mut dyn FnMut(),
) -> Result<(), String> {
    data.had_errors = ends.head.get(EXT4_STATE_AT).is_some_and(|state| state & EXT4_ERRORS != 0);
    match fsck::check(device, alive) {
        Outcome::Sound => {}
        Outcome::Repaired => say!("data: {} was repaired", device.display()),
        Outcome::Unchecked => data.unsound = data.had_errors,
        Outcome::Unsound(why) => {
            data.unsound = true;
            return Err(format!("{} is damaged ({why}); it is left alone", device.display()));
        }
    }
    Ok(())
}

/// The first MiB and the last 64 KiB, or what there is.
struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Ends {
    fn read(device: &Path) -> std::io::Result<Self> {
        let mut file = File::open(device)?;
        let len = file.seek(SeekFrom::End(0))?;
        let mut head = vec![0; HEAD_BYTES.min(len as usize)];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut head)?;
        let mut tail = vec![0; TAIL_BYTES.min(len as usize)];
        file.seek(SeekFrom::Start(len - tail.len() as u64))?;
        file.read_exact(&mut tail)?;
        Ok(Self { head, tail })
    }
}

/// `formatted` is how the head looks after formatting; empty when that is not known.
fn classify(head: &[u8], tail: &[u8], formatted: &[u8]) -> Content {
    if head.get(EXT4_MAGIC_AT..EXT4_MAGIC_AT + 2) == Some(&EXT4_MAGIC) {
        return Content::Ext4;
    }
    let Some((first, rest)) = head.split_at_checked(BLOCK_BYTES as usize) else {
        return Content::Other;
    };
    let formatted = formatted.iter().skip(first.len()).copied().chain(std::iter::repeat(0));
    let untouched = rest.iter().zip(formatted).all(|(&byte, ours)| byte == 0 || byte == ours);
    let zero = first.iter().chain(tail).all(|&byte| byte == 0);
    if zero && untouched { Content::Blank } else { Content::Other }
}

fn make(device: &Path, blank: &Blank) -> Result<(), String> {
    let write = || -> std::io::Result<u64> {
        let mut device = File::options().write(true).open(device)?;
        let len = device.seek(SeekFrom::End(0))?;
        if len >= blank.size {
            blank.write_to(&mut device)?;
        }
        Ok(len)
    };
    match write() {
        Ok(len) if len < blank.size => Err(format!("{} MiB are the least", blank.size >> 20)),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// A blank is small, and a disk image may have been copied to a larger disk: take all there is.
fn grow(device: &Path) {
    let try_it = || -> std::io::Result<()> {
        let bytes = File::open(device)?.seek(SeekFrom::End(0))?;
        Ok(sys::disk::resize(File::open(paths::DATA)?, bytes / BLOCK_BYTES)?)
    };
    if let Err(error) = try_it() {
        say!("data: the file system stays smaller than {}: {error}", device.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 12_288] = [0; 12_288];
    const TAIL: [u8; 512] = [0; 512];

    #[test]
    fn only_a_blank_partition_is_ever_formatted() {
        assert_eq!(classify(&HEAD, &TAIL, &[]), Content::Blank);
        for at in 0..HEAD.len() {
            let mut head = HEAD;
            head[at] = 1;
            assert_eq!(classify(&head, &TAIL, &[]), Content::Other, "head at {at}");
        }
        for at in 0..TAIL.len() {
            let mut tail = TAIL;
            tail[at] = 1;
            assert_eq!(classify(&HEAD, &tail, &[]), Content::Other, "tail at {at}");
        }
        assert_eq!(classify(&[], &[], &[]), Content::Other, "a device of no size");
    }

    #[test]
    fn a_format_that_was_cut_off_is_made_again() {
        let mut formatted = HEAD;
        formatted[1024..1100].fill(7);
        formatted[8000..8100].fill(8);
        let mut cut = HEAD;
        cut[8000..8050].fill(8);
        assert_eq!(classify(&cut, &TAIL, &formatted), Content::Blank);
        cut[8050] = 9;
        assert_eq!(classify(&cut, &TAIL, &formatted), Content::Other, "another byte than ours");
        cut = HEAD;
        cut[1024] = 7;
        assert_eq!(
            classify(&cut, &TAIL, &formatted),
            Content::Other,
            "the first block is ours last"
        );
    }

    #[test]
    fn ext4_is_known_by_its_magic_number() {
        let mut head = HEAD;
        head[EXT4_MAGIC_AT..EXT4_MAGIC_AT + 2].copy_from_slice(&EXT4_MAGIC);
        assert_eq!(classify(&head, &[], &[]), Content::Ext4);
    }
}
