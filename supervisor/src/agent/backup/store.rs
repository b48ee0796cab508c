//! The directory of backups: names, what is known of each, room and retention.
//!
//! ```text
//!  backup-000042-20261122T101500Z.rdb        the file, as the server loads it
//!  backup-000042-20261122T101500Z.rdb.json   its SHA-256, length and number of keys
//! ```
//!
//! The number orders them: a clock that jumps changes no order. A name exists only when all of the
//! file is on the disk and was read back; what begins with `.tmp` was left by an interruption.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rdb::Contents;
use crate::files::{TEMPORARY, write_whole};
use crate::utc::Utc;

/// Kept free beside a backup, so that the server can still write.
pub(crate) const RESERVE_BYTES: u64 = 16 << 20;
const SIDECAR: &str = "json";
/// A sidecar is one line.
const MAX_SIDECAR_BYTES: u64 = 4096;

/// What is written beside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
    pub(crate) taken_unix_ms: u64,
}

impl Facts {
    pub(crate) fn new(contents: &Contents, taken_unix_ms: u64) -> Self {
        let Contents { sha256, bytes, keys, .. } = contents.clone();
        Self { sha256, bytes, keys, taken_unix_ms }
    }

    /// What the file next to the sidecar turns out not to be; `Ok` where both agree.
    pub(crate) fn agree(&self, contents: &Contents) -> Result<(), String> {
        if self.sha256 == contents.sha256 {
            return Ok(());
        }
        Err("is not the file that was backed up: its SHA-256 is another".to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    number: u64,
    pub(crate) path: PathBuf,
    /// `None` where the sidecar is gone or damaged.
    pub(crate) facts: Option<Facts>,
}

#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Makes the directory and removes what an interruption left.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
        let store = Self { directory: directory.to_owned() };
        store.sweep()?;
        Ok(store)
    }

    /// Without making anything.
    pub(crate) fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let alone = name
                .strip_suffix(".json")
                .is_some_and(|of| number_of(of).is_some() && !self.directory.join(of).exists());
            if name.starts_with(TEMPORARY) || alone {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The oldest first.
    pub(crate) fn list(&self) -> Vec<Entry> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let numbered = entries.flatten().filter_map(|entry| {
            let number = number_of(entry.file_name().to_str()?)?;
            let path = entry.path();
            Some(Entry { number, facts: read_sidecar(&path), path })
        });
        let mut list: Vec<_> = numbered.collect();
        list.sort_by_key(|entry| entry.number);
        list
    }

    pub(super) fn next_path(&self, unix_ms: u64) -> PathBuf {
        let number = self.list().last().map_or(0, |entry| entry.number) + 1;
        self.directory.join(format!("backup-{number:06}-{}.rdb", stamp(unix_ms)))
    }

    /// Deletes the oldest until `bytes` and the reserve fit, but never the last one.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(), String> {
        let need = bytes.saturating_add(RESERVE_BYTES);
        let mut list = self.list().into_iter();
        loop {
            let free = free_bytes(&self.directory).map_err(|error| self.say(&error))?;
            if free >= need {
                return Ok(());
            }
            match list.next() {
                Some(oldest) if list.len() > 0 => {
                    eprintln!("holdfast-agent: backup: the disk is short: {} goes", oldest.name());
                    oldest.delete().map_err(|error| self.say(&error))?;
                }
                _ => return Err(self.no_room(need, free)),
            }
        }
    }

    fn no_room(&self, need: u64, free: u64) -> String {
        let directory = self.directory.display();
        format!("no room in {directory}: {} needed, {} free", Size(need), Size(free))
    }

    fn say(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.directory.display())
    }

    /// Deletes the oldest beyond `keep`; called behind a good backup only.
    pub(super) fn prune(&self, keep: usize) -> io::Result<()> {
        let list = self.list();
        let surplus = list.len().saturating_sub(keep.max(1));
        list[..surplus].iter().try_for_each(Entry::delete)
    }
}

impl Entry {
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The file first: a sidecar alone is nothing, and is swept.
    fn delete(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        match fs::remove_file(sidecar(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn number_of(name: &str) -> Option<u64> {
    let (number, _) = name.strip_prefix("backup-")?.strip_suffix(".rdb")?.split_once('-')?;
    number.parse().ok()
}

pub(crate) fn sidecar(of: &Path) -> PathBuf {
    let mut name = of.as_os_str().to_owned();
    name.push(".");
    name.push(SIDECAR);
    name.into()
}

pub(crate) fn read_sidecar(of: &Path) -> Option<Facts> {
    let path = sidecar(of);
    let short = fs::metadata(&path).ok()?.len() <= MAX_SIDECAR_BYTES;
    short.then(|| serde_json::from_slice(&fs::read(path).ok()?).ok())?
}

pub(super) fn write_sidecar(of: &Path, facts: &Facts) -> io::Result<()> {
    let text = serde_json::to_string(facts).expect("numbers and a string are JSON") + "\n";
    write_whole(&sidecar(of), text.as_bytes())
}

pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let volume = rustix::fs::statvfs(directory)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// `20261122T101500Z`.
pub(crate) fn stamp(unix_ms: u64) -> String {
    Utc(i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX)).stamp()
}

/// `1.2 MB`.
pub(crate) struct Size(pub(crate) u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
        let (mut tenths, mut unit) = (u128::from(self.0) * 10, 0);
        while tenths >= 10_000 && unit + 1 < UNITS.len() {
            tenths /= 1000;
            unit += 1;
        }
        let name = UNITS[unit];
        if unit == 0 {
            write!(f, "{} {name}", self.0)
        } else {
            write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests;
