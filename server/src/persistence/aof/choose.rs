//! Which files make up the log: what the manifest says, unless it is lost, broken or older than what
//! is there. Then the files say it: each increment of ours states the manifest that it belongs to.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::path::Path;

use super::load::{Head, Source};
use super::manifest::{self, Manifest, Wrong};
use super::{Fatal, Options};
use crate::log::notice;
use crate::storage::Storage;

/// What is to be loaded.
pub(super) struct Chosen {
    pub(super) manifest: Manifest,
    /// Every name in the folder.
    pub(super) names: Vec<String>,
    /// What was wrong, a sentence each.
    pub(super) faults: Vec<String>,
}

struct Folder<'o> {
    storage: &'o dyn Storage,
    options: &'o Options,
    names: HashSet<String>,
}

pub(super) fn choose(storage: &dyn Storage, options: &Options) -> Result<Chosen, Fatal> {
    let mut folder = Folder { storage, options, names: HashSet::new() };
    let dir = options.path();
    let names =
        names_in(storage, &dir).map_err(|error| Fatal::io("read the folder", &dir, &error))?;
    folder.names = names.into_iter().collect();
    let path = dir.join(manifest::manifest(&options.name));
    let read = Manifest::read(storage, &path)
        .map_err(|error| Fatal::io("read the AOF manifest", &path, &error))?;
    let (manifest, faults) = folder.decide(read)?;
    let manifest = folder.with_old_log(manifest)?;
    Ok(Chosen { manifest, names: folder.names.into_iter().collect(), faults })
}

/// The names in a folder; of one that is not there, none.
pub(super) fn names_in(storage: &dyn Storage, dir: &Path) -> io::Result<Vec<String>> {
    match storage.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}

impl Folder<'_> {
    fn decide(
        &self,
        read: Option<Result<Manifest, Wrong>>,
    ) -> Result<(Manifest, Vec<String>), Fatal> {
        let unreadable = |error| Fatal::io("read the files in", &self.options.path(), &error);
        let (read, why) = match read {
            Some(Ok(read)) if !self.may_be_stale(&read) => return Ok((read, Vec::new())),
            Some(Ok(read)) => (Some(read), "does not fit the files".to_owned()),
            Some(Err(wrong)) => {
                let stated = self.newest_statement(None).map_err(unreadable)?;
                let why = format!("is broken ({})", wrong.text);
                let Some(stated) = stated else { return Err(Fatal(wrong.lines())) };
                return Ok((stated, vec![self.rebuilt(&why)]));
            }
            None => (None, "is missing".to_owned()),
        };
        // One that lists what is not there says nothing.
        let believed = read.as_ref().filter(|read| self.has_all(read));
        let stated = self.newest_statement(believed).map_err(unreadable)?;
        Ok(match (stated, read) {
            (Some(stated), _) => (stated, vec![self.rebuilt(&why)]),
            (None, Some(read)) => (read, Vec::new()),
            (None, None) => (Manifest::default(), Vec::new()),
        })
    }

    fn rebuilt(&self, why: &str) -> String {
        let name = manifest::manifest(&self.options.name);
        format!("the manifest {name} {why}: it was made anew from what the files say")
    }

    /// Whether there are files that a later manifest may have listed, or none where it lists some.
    fn may_be_stale(&self, read: &Manifest) -> bool {
        let log = &self.options.name;
        let last = read.increments.last().map_or(0, |entry| entry.seq);
        let base = read.base.as_ref().map_or(0, |entry| entry.seq);
        let is_later = |name: &String| {
            manifest::increment_seq(log, name).is_some_and(|seq| seq > last)
                || manifest::base_seq(log, name).is_some_and(|seq| seq > base)
        };
        self.names.iter().any(is_later) || !self.has_all(read)
    }

    fn has_all(&self, manifest: &Manifest) -> bool {
        manifest.files().all(|entry| self.names.contains(&entry.name))
    }

    /// What the newest increment that has all its files states, if that is later than what was `read`.
    fn newest_statement(&self, read: Option<&Manifest>) -> io::Result<Option<Manifest>> {
        let log = &self.options.name;
        let mut increments: Vec<(u64, &String)> = self
            .names
            .iter()
            .filter_map(|name| Some((manifest::increment_seq(log, name)?, name)))
            .collect();
        increments.sort_unstable_by(|one, other| other.cmp(one));
        for (_, name) in increments {
            let path = self.options.path().join(name);
            let stated = self.source(name, &path).last_statement()?;
            if let Some(stated) = stated
                && self.has_all(&stated)
                && self.is_later(&stated, read)?
            {
                return Ok(Some(stated));
            }
        }
        Ok(None)
    }

    /// Whether what a file states comes after what was read, and follows from it.
    fn is_later(&self, stated: &Manifest, read: Option<&Manifest>) -> io::Result<bool> {
        let Some(read) = read else { return Ok(true) };
        let place = |manifest: &Manifest| {
            let base = manifest.base.as_ref().map_or(0, |entry| entry.seq);
            (manifest.increments.last().map_or(0, |entry| entry.seq), base)
        };
        let ((last, base), (last_read, base_read)) = (place(stated), place(read));
        if last < last_read || base < base_read || (last, base) == (last_read, base_read) {
            return Ok(false);
        }
        for pair in stated.increments.windows(2).filter(|pair| pair[1].seq > last_read) {
            if !self.follows(&pair[0].name, &pair[1].name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an increment that is not listed begins where the one before it ends: that may have
    /// grown since, by a server that did not know of the other.
    fn follows(&self, before: &str, name: &str) -> io::Result<bool> {
        let dir = self.options.path();
        let len = self.storage.len(&dir.join(before))?;
        let head = self.source(name, &dir.join(name)).head()?;
        Ok(matches!(head, Head::Ours { after: Some(after), .. } if after.len == len))
    }

    fn source<'s>(&'s self, name: &'s str, path: &'s Path) -> Source<'s> {
        Source { storage: self.storage, path, name }
    }

    /// An old log, a single file outside the folder, becomes the base, as Redis 7 does it.
    fn with_old_log(&mut self, listed: Manifest) -> Result<Manifest, Fatal> {
        let name = &self.options.name;
        let old = self.options.dir.join(name);
        let is_interrupted = listed.increments.is_empty()
            && listed.base.as_ref().is_some_and(|base| base.name == *name)
            && !self.names.contains(name);
        if !(listed.is_empty() || is_interrupted) || !self.is_file(&old) {
            return Ok(listed);
        }
        let upgraded = self.upgrade(&old);
        let manifest =
            upgraded.map_err(|error| Fatal::io("move the old AOF file", &old, &error))?;
        self.names.insert(name.clone());
        let folder = &self.options.folder;
        notice!(
            "Successfully migrated an old-style AOF file ({name}) into the AOF directory ({folder})."
        );
        Ok(manifest)
    }

    /// Whether there is a file, which a folder of the same name is not.
    fn is_file(&self, path: &Path) -> bool {
        self.storage.open(path).is_ok_and(|mut file| file.read(&mut [0]).is_ok())
    }

    fn upgrade(&self, old: &Path) -> io::Result<Manifest> {
        let (name, dir) = (&self.options.name, self.options.path());
        self.storage.create_dir(&dir)?;
        let base = manifest::Entry { name: name.clone(), seq: 1, kind: manifest::Kind::Base };
        let manifest = Manifest { base: Some(base), ..Manifest::default() };
        manifest.write(self.storage, &dir, name)?;
        self.storage.rename(old, &dir.join(name))?;
        self.storage.sync_dir(&dir)?;
        self.storage.sync_dir(self.options.parent())?;
        Ok(manifest)
    }
}
