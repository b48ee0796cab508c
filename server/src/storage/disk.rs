//! The file system itself, and how much was written to it.

use std::fs;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{File, Purpose, Storage};

/// The real disk.
#[derive(Debug, Default)]
pub struct Disk {
    counters: Arc<Counters>,
}

/// Bytes handed to the file system since the start, by purpose. Sums that are only shown: no ordering
/// is needed.
#[derive(Debug, Default)]
pub struct Counters {
    log: AtomicU64,
    rewrite: AtomicU64,
    snapshot: AtomicU64,
    manifest: AtomicU64,
    syncs: AtomicU64,
}

/// What the counters say at one moment, in bytes; `syncs` is how many times a file or a folder was
/// made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub log: u64,
    pub rewrite: u64,
    pub snapshot: u64,
    pub manifest: u64,
    pub syncs: u64,
}

impl Counters {
    pub fn now(&self) -> Written {
        let [log, rewrite, snapshot, manifest, syncs] =
            [&self.log, &self.rewrite, &self.snapshot, &self.manifest, &self.syncs]
                .map(|counter| counter.load(Ordering::Relaxed));
        Written { log, rewrite, snapshot, manifest, syncs }
    }

    fn of(&self, purpose: Purpose) -> &AtomicU64 {
        match purpose {
            Purpose::Log => &self.log,
            Purpose::Rewrite => &self.rewrite,
            Purpose::Snapshot => &self.snapshot,
            Purpose::Manifest => &self.manifest,
        }
    }
}

impl Disk {
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    fn file(&self, file: fs::File, purpose: Purpose) -> Box<dyn File> {
        Box::new(DiskFile { file, purpose, counters: Arc::clone(&self.counters) })
    }
}

impl Storage for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs::File::open(path)?))
    }

    fn create(&self, path: &Path, purpose: Purpose) -> io::Result<Box<dyn File>> {
        Ok(self.file(fs::File::create(path)?, purpose))
    }

    fn append(&self, path: &Path, purpose: Purpose) -> io::Result<Box<dyn File>> {
        let mut file = fs::File::options().write(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(self.file(file, purpose))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        fs::File::open(path)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let facts = rustix::fs::statvfs(dir)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

struct DiskFile {
    file: fs::File,
    purpose: Purpose,
    counters: Arc<Counters>,
}

impl File for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.counters.of(self.purpose).fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len))?;
        Ok(())
    }
}
