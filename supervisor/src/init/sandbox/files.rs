//! Which files a service may touch, as a ruleset of Landlock's.
//!
//! Read everything that its user may; write where data and sockets are; execute its own program and
//! nothing else. The agent also writes updates, to the one slot that does not run. In a container whoever runs it decides what is mounted where, so there a service may
//! write everywhere but below the system's own folders, and there in what was mounted into them. The
//! server may not move or remove folders: one of the agent's lies in its own.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use holdfast_supervisor::paths;
use holdfast_supervisor::snapshot::Mode;
use rustix::fs::{FileType, Mode as FileMode, OFlags};

use super::syscalls::Who;
use crate::console::say;
use crate::sys::sandbox as sys;

/// Before this a file could not be moved to another folder at all, which a rewrite of the log does.
pub(super) const LEAST_ABI: u32 = 2;

/// A child's first descriptors are the sockets that were kept for it.
const ABOVE_SOCKETS: i32 = 64;

// `LANDLOCK_ACCESS_FS_*` of linux/landlock.h.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const READ: u64 = READ_FILE | READ_DIR;
const WRITE: u64 = WRITE_FILE | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | REFER | TRUNCATE;
/// Certificates are a folder with a link to it, old ones are removed, backups are put in place.
const ARRANGE: u64 = REMOVE_DIR | MAKE_SYM;

/// Where data, sockets and temporary files are.
const WRITABLE: [&str; 4] = [paths::DATA, "/run", "/tmp", "/dev/shm"];
/// What belongs to the image or the kernel.
const SYSTEM: [&str; 10] =
    ["bin", "boot", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr"];

/// Access rights that a kernel of this ABI knows; those it does not are not confined.
fn handled(abi: u32) -> u64 {
    match abi {
        0..=1 => REFER - 1,
        2 => TRUNCATE - 1,
        3..=4 => IOCTL_DEV - 1,
        5.. => (IOCTL_DEV << 1) - 1,
    }
}

/// `None`, and the reason is said, when the kernel refuses what it claims to have.
pub(super) fn ruleset(
    who: Who,
    mode: Mode,
    abi: u32,
    words: &[&CStr],
    slot: Option<&Path>,
) -> Option<OwnedFd> {
    // Where a child puts the sockets that were kept for it, nothing else may be.
    let made = sys::landlock_ruleset(abi, handled(abi))
        .and_then(|ruleset| rustix::io::fcntl_dupfd_cloexec(ruleset, ABOVE_SOCKETS));
    let ruleset = match made {
        Ok(ruleset) => ruleset,
        Err(errno) => {
            say!("landlock: {errno}");
            return None;
        }
    };
    let (program, write) = match who {
        Who::Server => (paths::SERVER, WRITE),
        Who::Agent => (paths::AGENT, WRITE | ARRANGE),
    };
    allow(&ruleset, Path::new("/"), READ & handled(abi));
    allow(&ruleset, Path::new(program), (READ | EXECUTE) & handled(abi));
    allow(&ruleset, Path::new("/dev/null"), (READ | WRITE | IOCTL_DEV) & handled(abi));
    if let (Who::Agent, Some(slot)) = (who, slot) {
        allow(&ruleset, slot, (READ_FILE | WRITE_FILE) & handled(abi));
    }
    for folder in writable(mode, words) {
        allow(&ruleset, &folder, (READ | write) & handled(abi));
    }
    Some(ruleset)
}

fn writable(mode: Mode, words: &[&CStr]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = WRITABLE.iter().map(PathBuf::from).collect();
    if mode == Mode::Container {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        folders.extend(top_folders());
        folders.extend(mounted_into_the_system(&mounts));
        folders.extend(words.iter().filter_map(|word| folder_of(word)));
    }
    folders
}

fn top_folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/").into_iter().flatten().flatten();
    let own = entries.filter(|entry| !SYSTEM.iter().any(|name| entry.file_name() == *name));
    own.map(|entry| entry.path()).collect()
}

/// The fifth column of mountinfo, where it is below a system folder other than the kernel's own.
fn mounted_into_the_system(mounts: &str) -> Vec<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let inside = |point: &PathBuf| {
        let mut parts = point.components().skip(1).map(|part| part.as_os_str());
        let top = parts.next();
        let kernels = ["proc", "sys", "dev"].iter().any(|name| top == Some(name.as_ref()));
        parts.next().is_some() && !kernels && SYSTEM.iter().any(|name| top == Some(name.as_ref()))
    };
    points.filter(inside).collect()
}

/// CONFIG REWRITE and ACL SAVE replace the file that an argument names.
fn folder_of(word: &CStr) -> Option<PathBuf> {
    let path = Path::new(std::ffi::OsStr::from_bytes(word.to_bytes()));
    if !path.is_absolute() || !path.is_file() {
        return None;
    }
    path.parent().filter(|folder| *folder != Path::new("/")).map(Path::to_owned)
}

/// What is not there needs no rule.
fn allow(ruleset: &OwnedFd, path: &Path, rights: u64) {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(place) = rustix::fs::open(path, flags, FileMode::empty()) else { return };
    let kind = rustix::fs::fstat(&place).map(|stat| FileType::from_raw_mode(stat.st_mode));
    let rights = if kind == Ok(FileType::Directory) { rights } else { rights & OF_FILES };
    if let Err(errno) = sys::landlock_allow(ruleset, &place, rights) {
        say!("landlock: {}: {errno}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_the_kernel_knows() {
        assert_eq!(handled(1), 0x1fff);
        assert_eq!(handled(2), 0x3fff);
        assert_eq!(handled(3), 0x7fff);
        assert_eq!(handled(4), 0x7fff);
        assert_eq!(handled(7), 0xffff);
    }

    #[test]
    fn what_was_mounted_into_the_system_s_folders_is_whose_who_mounted_it() {
        let mounts = "\
            1 0 0:1 / / rw - overlay o rw\n\
            2 1 0:2 / /proc rw - proc p rw\n\
            3 1 0:3 /x /etc/redis rw - ext4 /dev/sda rw\n\
            4 1 0:4 / /sys/fs/cgroup rw - cgroup2 c rw\n\
            5 1 0:5 / /data rw - ext4 /dev/sda rw\n\
            6 1 0:6 / /usr/local/etc/redis rw - ext4 /dev/sda rw\n";
        let found = mounted_into_the_system(mounts);
        assert_eq!(found, [Path::new("/etc/redis"), Path::new("/usr/local/etc/redis")]);
    }

    #[test]
    fn the_folder_of_a_file_named_by_an_argument_may_be_written() {
        assert_eq!(folder_of(c"/etc/passwd"), Some(PathBuf::from("/etc")));
        assert_eq!(folder_of(c"/etc"), None);
        assert_eq!(folder_of(c"redis.conf"), None);
        assert_eq!(folder_of(c"--port"), None);
    }
}
