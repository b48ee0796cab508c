//! The files of a log that is being written: which there are, how the next one begins, how a new base
//! takes the place of others. Every step leaves a folder that [`open`](super::open) understands.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Options;
use super::manifest::{Entry, Kind, Manifest};
use super::marks::{self, Proof};
use crate::rdb::crc64::Crc64;
use crate::storage::{File, Purpose, Storage};

pub(super) struct Files {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// How all names begin.
    log: String,
    manifest: Manifest,
    /// The number of the next base, and of the next increment: no file has them or a larger one.
    next_base: u64,
    next_increment: u64,
    /// The increment that the last rotation began: a base that is adopted stands for those before.
    /// `None` after the base was.
    rewritten_up_to: Option<u64>,
    /// A log that begins while the server runs is none before its first base is there: until then
    /// the manifest on disk is the old one.
    awaits_base: bool,
    /// Files that are no part of the log, while the manifest on disk may list them.
    unsettled: Vec<PathBuf>,
    sizes: Sizes,
}

/// Bytes of files that are not written any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) base: u64,
    /// Increments before the current one.
    pub(super) earlier: u64,
}

/// An increment that was just begun and is durable.
pub(super) struct Begun {
    pub(super) file: Box<dyn File>,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) crc: Crc64,
}

impl Files {
    /// The files of a log that was loaded.
    pub(super) fn new(storage: Arc<dyn Storage>, options: &Options, manifest: Manifest) -> Self {
        let last_base = manifest.entries().filter(|entry| entry.kind != Kind::Increment);
        let next_base = last_base.map(|entry| entry.seq).max().unwrap_or(0) + 1;
        let last = manifest.increments.iter().chain(&manifest.history).map(|entry| entry.seq).max();
        Self {
            storage,
            dir: options.path(),
            log: options.name.clone(),
            manifest,
            next_base,
            next_increment: last.unwrap_or(0) + 1,
            rewritten_up_to: None,
            awaits_base: false,
            unsettled: Vec::new(),
            sizes: Sizes::default(),
        }
    }

    /// The files of a log that will take the place of this one when its first base is adopted.
    pub(super) fn anew(mut self) -> Self {
        let old = std::mem::take(&mut self.manifest);
        let superfluous = old.base.into_iter().chain(old.increments).map(Entry::into_history);
        self.manifest.history = superfluous.chain(old.history).collect();
        self.awaits_base = true;
        self
    }

    /// Numbers up to these are taken, by files that are not listed.
    pub(super) fn skip(&mut self, base: u64, increment: u64) {
        self.next_base = self.next_base.max(base + 1);
        self.next_increment = self.next_increment.max(increment + 1);
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn awaits_base(&self) -> bool {
        self.awaits_base
    }

    /// Bytes of the files that are not written any more, where they can be told.
    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Looks again how large the files are.
    pub(super) fn measure(&mut self) {
        let len = |entry: &Entry| self.storage.len(&self.dir.join(&entry.name)).unwrap_or(0);
        let (_, earlier) = self.manifest.increments.split_last().unwrap_or((&EMPTY, &[]));
        self.sizes = Sizes {
            base: self.manifest.base.as_ref().map_or(0, len),
            earlier: earlier.iter().map(len).sum(),
        };
    }

    /// The increment being written.
    pub(super) fn current(&self) -> Option<&Entry> {
        self.manifest.increments.last()
    }

    pub(super) fn path_of(&self, entry: &Entry) -> PathBuf {
        self.dir.join(&entry.name)
    }

    /// Puts an empty base under a log that has none.
    pub(super) fn begin_base(&mut self, content: &[u8]) -> io::Result<()> {
        let entry = Entry::base(&self.log, self.next_base, is_rdb(content));
        let mut file = self.storage.create(&self.path_of(&entry), Purpose::Rewrite)?;
        file.write_all(content)?;
        file.sync()?;
        self.next_base += 1;
        self.manifest.base = Some(entry);
        Ok(())
    }

    /// Begins the next increment. `after` is where the one before it ends. `rewrites`: a base will
    /// stand for everything before.
    pub(super) fn begin_increment(
        &mut self,
        after: Option<Proof>,
        timestamp: Option<i64>,
        rewrites: bool,
    ) -> io::Result<Begun> {
        let entry = Entry::increment(&self.log, self.next_increment);
        let path = self.path_of(&entry);
        let mut manifest = self.manifest.clone();
        manifest.increments.push(entry);
        let listed = (!self.awaits_base).then_some(&manifest);
        let begun = self.create_increment(&path, marks::head(timestamp, after, listed))?;
        let written = match listed {
            Some(manifest) => manifest.write(&*self.storage, &self.dir, &self.log),
            None => self.storage.sync_dir(&self.dir),
        };
        if let Err(error) = written {
            // The manifest on disk may end the increment before this one where that was to end.
            self.unsettled.extend(listed.map(|_| path));
            return Err(error);
        }
        self.manifest = manifest;
        if rewrites {
            self.rewritten_up_to = Some(self.next_increment);
        }
        self.next_increment += 1;
        self.measure();
        Ok(begun)
    }

    fn create_increment(&self, path: &Path, head: Vec<u8>) -> io::Result<Begun> {
        let (head, crc) = with_mark(head);
        let mut file = self.storage.create(path, Purpose::Log)?;
        file.write_all(&head)?;
        file.sync()?;
        Ok(Begun { file, path: path.to_owned(), len: head.len() as u64, crc })
    }

    /// The current increment is where a rewrite begins.
    pub(super) fn rewrites_before_current(&mut self) {
        self.rewritten_up_to = self.current().map(|entry| entry.seq);
    }

    /// The next base stands for everything there is.
    pub(super) fn rewrites_everything(&mut self) {
        self.rewritten_up_to = Some(self.next_increment);
    }

    /// Makes `temp` the base, in place of everything before the last rotation. Answers what is to be
    /// appended to the current increment.
    pub(super) fn adopt(&mut self, temp: &Path) -> io::Result<Vec<u8>> {
        let Some(first_kept) = self.rewritten_up_to else {
            return Err(io::Error::other("no rewrite of the log was begun"));
        };
        self.put_base(temp, self.manifest.increments.clone(), first_kept)?;
        Ok(marks::statement(&self.manifest))
    }

    /// Makes `temp` the base, in place of everything there is, whether or not the current increment
    /// has all that it should: the next one follows this base. An error leaves all as it was.
    pub(super) fn adopt_for_all(
        &mut self,
        temp: &Path,
        timestamp: Option<i64>,
    ) -> io::Result<Begun> {
        let entry = Entry::increment(&self.log, self.next_increment);
        let path = self.path_of(&entry);
        // It states no manifest: only once the base is there it belongs to a log.
        let begun = self.create_increment(&path, marks::head(timestamp, None, None));
        let adopted = begun.and_then(|begun| {
            let first_kept = entry.seq;
            let increments = self.manifest.increments.iter().cloned().chain([entry]).collect();
            self.put_base(temp, increments, first_kept).map(|()| begun)
        });
        self.next_increment += 1;
        if adopted.is_err() {
            self.give_up(path);
        }
        adopted
    }

    fn put_base(&mut self, temp: &Path, increments: Vec<Entry>, first_kept: u64) -> io::Result<()> {
        self.settle()?;
        let mut first = Vec::new();
        self.storage.open(temp)?.take(MAGIC_LEN).read_to_end(&mut first)?;
        let base = Entry::base(&self.log, self.next_base, is_rdb(&first));
        let path = self.path_of(&base);
        let manifest = self.rewritten(base, increments, first_kept);
        manifest.prepare(&*self.storage, &self.dir, &self.log)?;
        // Whether or not the manifest will list it, its number is used up.
        self.next_base += 1;
        self.storage.rename(temp, &path)?;
        let written = self
            .storage
            .sync_dir(&self.dir)
            .and_then(|()| Manifest::publish(&*self.storage, &self.dir, &self.log));
        if let Err(error) = written {
            self.rewrite_old_manifest(&path);
            return Err(error);
        }
        self.manifest = manifest;
        self.awaits_base = false;
        self.rewritten_up_to = None;
        self.measure();
        Ok(())
    }

    /// What the manifest is with `base` in the place of what it stands for.
    fn rewritten(&self, base: Entry, increments: Vec<Entry>, first_kept: u64) -> Manifest {
        let is_kept = |entry: &Entry| entry.seq >= first_kept;
        let (kept, superfluous): (Vec<_>, Vec<_>) = increments.into_iter().partition(is_kept);
        // The youngest first, as Valkey lists them.
        let younger = superfluous.into_iter().chain(self.manifest.base.clone());
        let older = self.manifest.history.iter().cloned();
        let history = younger.map(Entry::into_history).chain(older).collect();
        Manifest { base: Some(base), history, increments: kept }
    }

    /// The new manifest may or may not be there: with the old one in its place for certain, the base
    /// that was not adopted can go.
    fn rewrite_old_manifest(&mut self, base: &Path) {
        if self.awaits_base {
            let _ = self.storage.remove(base);
            return;
        }
        self.unsettled.push(base.to_owned());
        let _ = self.settle();
    }

    /// A file that was begun is no part of the log: it goes as soon as no manifest can list it.
    fn give_up(&mut self, path: PathBuf) {
        if self.unsettled.is_empty() {
            let _ = self.storage.remove(&path);
        } else {
            self.unsettled.push(path);
        }
    }

    /// Makes certain that the manifest on disk is the one that is known here. Until that succeeds,
    /// nothing that is written counts: a start might not read it.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if !self.unsettled.is_empty() {
            self.manifest.write(&*self.storage, &self.dir, &self.log)?;
            for path in &self.unsettled {
                match self.storage.remove(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            // One that came back might be believed: it states a manifest.
            self.storage.sync_dir(&self.dir)?;
            self.unsettled.clear();
        }
        Ok(())
    }

    /// Removes the files that a base stands for, and then their lines. A manifest that somebody wrote
    /// may call a file history that is the log's, too.
    pub(super) fn remove_history(&mut self) -> io::Result<()> {
        if self.awaits_base || self.manifest.history.is_empty() {
            return Ok(());
        }
        let is_needed = |name: &str| self.manifest.files().any(|file| file.name == name);
        for entry in self.manifest.history.iter().filter(|entry| !is_needed(&entry.name)) {
            crate::log::notice!("Removing the history file {} in the background", entry.name);
            match self.storage.remove(&self.path_of(entry)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let manifest = Manifest { history: Vec::new(), ..self.manifest.clone() };
        manifest.write(&*self.storage, &self.dir, &self.log)?;
        self.manifest = manifest;
        Ok(())
    }
}

static EMPTY: Entry = Entry { name: String::new(), seq: 0, kind: Kind::Increment };

/// Bytes that tell an RDB file.
const MAGIC_LEN: u64 = 6;

/// Whether a file that begins so begins with RDB: `REDIS0011`, `VALKEY080`.
pub(super) fn is_rdb(first: &[u8]) -> bool {
    first.starts_with(b"REDIS0") || first.starts_with(b"VALKEY")
}

/// Puts a mark behind the first group of a file.
fn with_mark(mut head: Vec<u8>) -> (Vec<u8>, Crc64) {
    let mut crc = Crc64::default();
    crc.update(&head);
    let mark = Proof { len: head.len() as u64, crc: crc.value() }.mark();
    crc.update(mark.as_bytes());
    head.extend_from_slice(mark.as_bytes());
    (head, crc)
}
