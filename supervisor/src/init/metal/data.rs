//! `/data`: the partition named `holdfast-data`, formatted on first boot, or memory when there is none.
//!
//! A partition is only ever formatted when it is blank: its first block and its last 64 KiB are
//! zero, and every other byte of its first MiB is zero or what formatting puts there, which is what
//! a power cut during the first boot leaves. Anything else that is not ext4 is somebody's data, and
//! is left alone.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::cmdline::DataHint;
use holdfast_supervisor::paths;
use rustix::fs::{Gid, Mode, Uid};
use rustix::mount::MountFlags;

use super::blank::Blank;
use crate::console::say;
use crate::finish::pause;
use crate::sys::ext4;

const PARTITION_NAME: &str = "PARTNAME=holdfast-data";
/// USB disks and SD cards take seconds to appear.
const DISK_WAIT_MS: Ms = 10_000;
const HEAD_BYTES: usize = 1 << 20;
const TAIL_BYTES: usize = 64 << 10;
/// Where ext4 keeps its magic number: superblock at 1024, field at 56 (ext4 layout, s_magic).
const EXT4_MAGIC_AT: usize = 1024 + 56;
const EXT4_MAGIC: [u8; 2] = [0x53, 0xef];
const BLANK: &str = "/usr/lib/holdfast/data.blank";
const FSCK: &str = "/usr/sbin/e2fsck";
/// Of the file systems we make.
const BLOCK_BYTES: u64 = 4096;
/// e2fsck(8): 1 is "errors corrected"; from 4 on the file system is not sound.
const FSCK_UNSOUND: i32 = 4;

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Blank,
    Ext4,
    Other,
}

/// True when what is in /data outlives the power.
pub(crate) fn mount(hint: DataHint) -> bool {
    let _ = rustix::fs::mkdir(paths::DATA, Mode::from(0o755));
    let persistent = match find_partition(hint) {
        Some(device) => mount_partition(&device).map_err(|why| say!("data: {why}")).is_ok(),
        None => false,
    };
    if !persistent {
        mount_memory();
    }
    give_to_service(paths::DATA);
    persistent
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

fn find_partition(hint: DataHint) -> Option<PathBuf> {
    let wait_ms = match hint {
        DataHint::Memory => return None,
        DataHint::Unsaid => 0,
        DataHint::Disk => DISK_WAIT_MS,
    };
    let until = now_ms() + wait_ms;
    loop {
        if let Some(device) = look() {
            return Some(device);
        }
        if now_ms() >= until {
            if hint == DataHint::Disk {
                say!("data: no partition named holdfast-data within {} s", DISK_WAIT_MS / 1000);
            }
            return None;
        }
        pause();
    }
}

fn look() -> Option<PathBuf> {
    fs::read_dir("/sys/class/block").ok()?.flatten().find_map(|entry| {
        let uevent = fs::read_to_string(entry.path().join("uevent")).ok()?;
        let ours = uevent.lines().any(|line| line == PARTITION_NAME);
        let device = Path::new("/dev").join(entry.file_name());
        (ours && device.exists()).then_some(device)
    })
}

fn mount_partition(device: &Path) -> Result<(), String> {
    let packed = fs::read(BLANK).unwrap_or_default();
    let blank = Blank::parse(&packed);
    let formatted = blank.as_ref().map(|blank| blank.head(HEAD_BYTES)).unwrap_or_default();
    let content = content(device, &formatted);
    match content.map_err(|error| format!("cannot read {}: {error}", device.display()))? {
        Content::Ext4 => check(device)?,
        Content::Blank => {
            say!("data: {} is blank; making a file system", device.display());
            let blank = blank.ok_or_else(|| format!("{BLANK} is missing or damaged"))?;
            make(device, &blank)
                .map_err(|why| format!("cannot format {}: {why}", device.display()))?;
        }
        Content::Other => {
            return Err(format!(
                "{} holds something that is not ext4; it is left alone",
                device.display()
            ));
        }
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount(device, paths::DATA, "ext4", flags, c"errors=remount-ro")
        .map_err(|errno| format!("cannot mount {}: {errno}", device.display()))?;
    grow(device);
    Ok(())
}

fn content(device: &Path, formatted: &[u8]) -> std::io::Result<Content> {
    let mut file = File::open(device)?;
    let len = file.seek(SeekFrom::End(0))?;
    let mut head = vec![0; HEAD_BYTES.min(len as usize)];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    let mut tail = vec![0; TAIL_BYTES.min(len as usize)];
    file.seek(SeekFrom::Start(len - tail.len() as u64))?;
    file.read_exact(&mut tail)?;
    Ok(classify(&head, &tail, formatted))
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
        Ok(ext4::resize(File::open(paths::DATA)?, bytes / BLOCK_BYTES)?)
    };
    if let Err(error) = try_it() {
        say!("data: the file system stays smaller than {}: {error}", device.display());
    }
}

fn check(device: &Path) -> Result<(), String> {
    if !Path::new(FSCK).exists() {
        // The kernel replays the journal; a full check is for images that carry the tool.
        return Ok(());
    }
    match run(FSCK, &["-p"], device)? {
        code if code < FSCK_UNSOUND => Ok(()),
        code => Err(format!(
            "{} is damaged (e2fsck -p ended with {code}); it is left alone",
            device.display()
        )),
    }
}

fn run(program: &str, options: &[&str], device: &Path) -> Result<i32, String> {
    let status = Command::new(program).args(options).arg(device).status();
    match status {
        Ok(status) => Ok(status.code().unwrap_or(FSCK_UNSOUND)),
        Err(error) => Err(format!("cannot run {program}: {error}")),
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
