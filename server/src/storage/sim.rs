//! A disk in memory that fails as disks do: a call refused, a write torn, a sync that loses what it
//! was to keep, and a power cut after which of everything that was not synced any part is there, in
//! any order.
//!
//! What it is strict about: bytes survive from [`File::sync`] on, names from [`Storage::sync_dir`]
//! on, and not before. What it grants, as every journaling file system does: a rename happens or does
//! not, and a sector that was synced keeps what it had where it is not written to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::{File, Purpose, Storage};

/// What a disk writes whole, usually.
const SECTOR: usize = 512;
/// `EIO`, `ENOSPC`.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Sim {
    machine: Arc<Mutex<Machine>>,
}

struct Machine {
    rng: Pcg64Mcg,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Names as they are seen.
    names: BTreeMap<PathBuf, u64>,
    /// Names that survive.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since, in order.
    unsynced_names: Vec<Rename>,
    folders: BTreeSet<PathBuf>,
    failing: Option<Failing>,
    /// Bytes that all files together may have.
    capacity: usize,
    /// Files opened before the last power cut are dead.
    boots: u64,
}

#[derive(Clone, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since they were synced.
    dirty: BTreeSet<usize>,
    /// Sectors that a failed sync gave up: no later one will write them.
    given_up: BTreeSet<usize>,
}

/// A name given to a file, and taken from another place.
struct Rename {
    from: Option<PathBuf>,
    to: Option<(PathBuf, u64)>,
}

/// Which calls fail from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// Calls that still succeed.
    pub(crate) after: u64,
    /// How many fail then.
    pub(crate) times: u64,
    pub(crate) error: i32,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let machine = Machine {
            rng: Pcg64Mcg::seed_from_u64(seed),
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            folders: BTreeSet::new(),
            failing: None,
            capacity: usize::MAX,
            boots: 0,
        };
        Self { machine: Arc::new(Mutex::new(machine)) }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets calls that change something fail.
    pub(crate) fn fail(&self, failing: Failing) {
        self.machine().failing = Some(failing);
    }

    /// Bytes that fit on the disk.
    pub(crate) fn set_capacity(&self, bytes: usize) {
        self.machine().capacity = bytes;
    }

    /// What a file has, for the test's eyes.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let machine = self.machine();
        let inode = machine.names.get(path)?;
        Some(machine.inodes.get(inode)?.content.clone())
    }

    /// Every file there is.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.machine().names.keys().cloned().collect()
    }

    /// Puts a file there, durable at once, in place of one that there is.
    pub(crate) fn put(&self, path: &Path, content: Vec<u8>) {
        let mut machine = self.machine();
        let inode = machine.next_inode;
        machine.next_inode += 1;
        let kept = Inode { durable: content.clone(), content, ..Inode::default() };
        machine.inodes.insert(inode, kept);
        machine.names.insert(path.to_owned(), inode);
        machine.durable_names.insert(path.to_owned(), inode);
        machine.folders.extend(path.parent().map(Path::to_owned));
    }

    /// The power fails and comes back: what was not synced is there or not, as chance has it.
    pub(crate) fn cut_power(&self) {
        self.machine().cut_power();
    }
}

impl Machine {
    fn below(&mut self, end: usize) -> usize {
        (self.rng.next_u64() % (end as u64).max(1)) as usize
    }

    /// A call that changes something; an error if it is to fail.
    fn call(&mut self) -> io::Result<()> {
        let Some(failing) = &mut self.failing else { return Ok(()) };
        if failing.after > 0 {
            failing.after -= 1;
            return Ok(());
        }
        let error = io::Error::from_raw_os_error(failing.error);
        failing.times -= 1;
        if failing.times == 0 {
            self.failing = None;
        }
        Err(error)
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::Error::from_raw_os_error(2))
    }

    fn used(&self) -> usize {
        self.names
            .values()
            .filter_map(|inode| self.inodes.get(inode))
            .map(|i| i.content.len())
            .sum()
    }

    fn write(&mut self, inode: u64, bytes: &[u8]) -> io::Result<()> {
        let free = self.capacity.saturating_sub(self.used());
        let outcome = match self.call() {
            // A write that fails may have written part of it.
            Err(error) => Err((self.below(bytes.len() + 1), error)),
            Ok(()) if bytes.len() > free => Err((free, io::Error::from_raw_os_error(ENOSPC))),
            Ok(()) => Ok(()),
        };
        let written = outcome.as_ref().map_or_else(|(part, _)| *part, |()| bytes.len());
        if let Some(file) = self.inodes.get_mut(&inode) {
            let start = file.content.len();
            file.content.extend_from_slice(&bytes[..written]);
            file.touch(start, file.content.len());
        }
        outcome.map_err(|(_, error)| error)
    }

    fn sync(&mut self, inode: u64) -> io::Result<()> {
        let outcome = self.call();
        let Some(file) = self.inodes.get_mut(&inode) else { return outcome };
        let dirty = std::mem::take(&mut file.dirty);
        match outcome {
            Ok(()) => file.keep(&dirty),
            // The kernel forgets what it could not write: the next sync will not write it either.
            Err(_) => file.given_up.extend(dirty),
        }
        outcome
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.call()?;
        let is_in = |path: &PathBuf| path.parent() == Some(dir);
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unsynced_names).into_iter().partition(|rename| {
                rename.from.as_ref().is_some_and(is_in)
                    || rename.to.as_ref().is_some_and(|(to, _)| is_in(to))
            });
        self.unsynced_names = rest;
        for rename in synced {
            rename.apply(&mut self.durable_names);
        }
        Ok(())
    }

    fn rename(&mut self, rename: Rename) {
        rename.apply(&mut self.names);
        self.unsynced_names.push(rename);
    }

    fn cut_power(&mut self) {
        self.boots += 1;
        self.failing = None;
        let keeps = [0, 50, 90, 100][self.below(4)];
        for rename in std::mem::take(&mut self.unsynced_names) {
            if self.below(100) < keeps {
                rename.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let mut inodes = std::mem::take(&mut self.inodes);
        for inode in inodes.values_mut() {
            self.cut_file(inode);
        }
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        inodes.retain(|inode, _| named.contains(inode));
        self.inodes = inodes;
    }

    /// Chooses which of the sectors that were not synced a file has, and how long it is.
    fn cut_file(&mut self, file: &mut Inode) {
        let unsynced: Vec<usize> = file.dirty.union(&file.given_up).copied().collect();
        let keeps = [0, 50, 90, 100][self.below(4)];
        let (old, new) = (file.durable.len(), file.content.len());
        let len = match self.below(4) {
            _ if unsynced.is_empty() && old == new => new,
            0 => old,
            1 => new,
            _ => old.min(new) + self.below(old.abs_diff(new) + 1),
        };
        let mut kept = file.durable.clone();
        // What a file is longer by was never written: zeros.
        kept.resize(len, 0);
        for sector in unsynced {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(len).min(new);
            // Given up, it was not written; unless the disk did so before it failed.
            if start >= end || self.below(100) >= keeps {
                continue;
            }
            let end = if self.below(20) == 0 { start + self.below(end - start) } else { end };
            kept[start..end].copy_from_slice(&file.content[start..end]);
        }
        *file = Inode { content: kept.clone(), durable: kept, ..Inode::default() };
    }
}

impl Inode {
    /// Bytes were written or cut.
    fn touch(&mut self, start: usize, end: usize) {
        let sectors = start / SECTOR..end.div_ceil(SECTOR).max(start / SECTOR + 1);
        for sector in sectors {
            self.dirty.insert(sector);
            self.given_up.remove(&sector);
        }
    }

    /// These sectors are durable now, and the length.
    fn keep(&mut self, dirty: &BTreeSet<usize>) {
        self.durable.resize(self.content.len(), 0);
        for sector in dirty {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.content.len());
            if start < end {
                self.durable[start..end].copy_from_slice(&self.content[start..end]);
            }
        }
    }
}

impl Rename {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), *inode);
        }
    }
}

impl Storage for Sim {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let machine = self.machine();
        let inode = machine.inode(path)?;
        let content = machine.inodes.get(&inode).map(|file| file.content.clone());
        Ok(Box::new(Cursor::new(content.unwrap_or_default())))
    }

    fn create(&self, path: &Path, _purpose: Purpose) -> io::Result<Box<dyn File>> {
        let mut machine = self.machine();
        machine.call()?;
        if let Ok(inode) = machine.inode(path) {
            let file = self.open_file(&machine, inode);
            if let Some(kept) = machine.inodes.get_mut(&inode) {
                kept.touch(0, kept.content.len());
                kept.content.clear();
            }
            return Ok(file);
        }
        let inode = machine.next_inode;
        machine.next_inode += 1;
        machine.inodes.insert(inode, Inode::default());
        machine.rename(Rename { from: None, to: Some((path.to_owned(), inode)) });
        Ok(self.open_file(&machine, inode))
    }

    fn append(&self, path: &Path, _purpose: Purpose) -> io::Result<Box<dyn File>> {
        let machine = self.machine();
        let inode = machine.inode(path)?;
        Ok(self.open_file(&machine, inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.call()?;
        let inode = machine.inode(from)?;
        machine.rename(Rename { from: Some(from.to_owned()), to: Some((to.to_owned(), inode)) });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.call()?;
        machine.inode(path)?;
        machine.rename(Rename { from: Some(path.to_owned()), to: None });
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        machine.call()?;
        machine.folders.insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.machine().sync_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let machine = self.machine();
        if !machine.folders.contains(dir) {
            return Err(io::Error::from_raw_os_error(2));
        }
        let in_dir = machine.names.keys().filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(in_dir.filter_map(name).collect())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let machine = self.machine();
        let inode = machine.inode(path)?;
        Ok(machine.inodes.get(&inode).map_or(0, |file| file.content.len() as u64))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let machine = self.machine();
        Ok(machine.capacity.saturating_sub(machine.used()) as u64)
    }
}

impl Sim {
    fn open_file(&self, machine: &Machine, inode: u64) -> Box<dyn File> {
        Box::new(SimFile { sim: self.clone(), inode, boot: machine.boots })
    }
}

struct SimFile {
    sim: Sim,
    inode: u64,
    boot: u64,
}

impl SimFile {
    /// The machine, unless it lost its power since the file was opened.
    fn machine(&self) -> io::Result<MutexGuard<'_, Machine>> {
        let machine = self.sim.machine();
        if machine.boots == self.boot {
            Ok(machine)
        } else {
            Err(io::Error::from_raw_os_error(EIO))
        }
    }
}

impl File for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.machine()?.write(self.inode, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine()?.sync(self.inode)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut machine = self.machine()?;
        machine.call()?;
        if let Some(file) = machine.inodes.get_mut(&self.inode) {
            let (old, new) = (file.content.len(), usize::try_from(len).unwrap_or(usize::MAX));
            file.content.resize(new, 0);
            file.touch(old.min(new), old.max(new));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sim: &Sim, name: &str, pieces: &[(&[u8], bool)]) {
        let mut file = sim.create(Path::new(name), Purpose::Log).unwrap();
        for (bytes, is_synced) in pieces {
            file.write_all(bytes).unwrap();
            if *is_synced {
                file.sync().unwrap();
            }
        }
    }

    #[test]
    fn what_is_synced_survives_and_the_rest_may_not() {
        let (mut lost, mut kept, mut torn) = (0, 0, 0);
        for seed in 0..300 {
            let sim = Sim::new(seed);
            sim.create_dir(Path::new("/d")).unwrap();
            written(&sim, "/d/a", &[(&[1; 700], true), (&[2; 2000], false)]);
            sim.sync_dir(Path::new("/d")).unwrap();
            sim.cut_power();
            let content = sim.content(Path::new("/d/a")).unwrap();
            assert_eq!(content[..700], [1; 700]);
            match &content[700..] {
                [] => lost += 1,
                rest if *rest == [2; 2000] => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(lost > 10 && kept > 10 && torn > 10, "{lost} {kept} {torn}");
    }

    #[test]
    fn a_name_survives_once_its_folder_is_synced() {
        let mut lost = 0;
        for seed in 0..100 {
            let sim = Sim::new(seed);
            sim.create_dir(Path::new("/d")).unwrap();
            written(&sim, "/d/old", &[(b"old", true)]);
            sim.sync_dir(Path::new("/d")).unwrap();
            written(&sim, "/d/temp", &[(b"new", true)]);
            sim.rename(Path::new("/d/temp"), Path::new("/d/old")).unwrap();
            sim.cut_power();
            let content = sim.content(Path::new("/d/old")).unwrap();
            assert!(content == b"old" || content == b"new");
            lost += usize::from(content == b"old");
        }
        assert!(lost > 10 && lost < 90, "{lost}");
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let mut lost = 0;
        for seed in 0..100 {
            let sim = Sim::new(seed);
            sim.create_dir(Path::new("/d")).unwrap();
            written(&sim, "/d/a", &[]);
            sim.sync_dir(Path::new("/d")).unwrap();
            let mut file = sim.append(Path::new("/d/a"), Purpose::Log).unwrap();
            file.write_all(&[1; 600]).unwrap();
            sim.fail(Failing { after: 0, times: 1, error: EIO });
            assert!(file.sync().is_err());
            file.sync().unwrap();
            sim.cut_power();
            lost += usize::from(sim.content(Path::new("/d/a")).unwrap() != [1; 600]);
        }
        assert!(lost > 10, "{lost}");
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let sim = Sim::new(1);
        sim.create_dir(Path::new("/d")).unwrap();
        sim.set_capacity(1000);
        let mut file = sim.create(Path::new("/d/a"), Purpose::Log).unwrap();
        file.write_all(&[1; 900]).unwrap();
        assert_eq!(file.write_all(&[2; 200]).unwrap_err().raw_os_error(), Some(ENOSPC));
        assert_eq!(sim.len(Path::new("/d/a")).unwrap(), 1000);
        file.set_len(900).unwrap();
        assert_eq!(sim.free_bytes(Path::new("/d")).unwrap(), 100);
    }
}
