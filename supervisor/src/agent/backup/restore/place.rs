//! The renames of a restore, and the way back.
//!
//! What is set aside keeps its directory: a directory can be renamed within its parent by whoever
//! may write the parent, but moved only by its owner.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backup::save::Layout;
use crate::files::{sync_parent, write_whole};

/// Paths only: it is written down, and a later agent can undo it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    /// The restored file, before it is put in place.
    pub(super) staged: PathBuf,
    dump: Moved,
    log: Moved,
    /// The new log's base; `None` where the server keeps no log.
    base: Option<PathBuf>,
    manifest: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    place: PathBuf,
    aside: PathBuf,
    /// There was something in the place before the restore.
    was_there: bool,
}

impl Moved {
    fn new(place: PathBuf, stamp: &str) -> Self {
        let mut aside = place.clone().into_os_string();
        aside.push(format!(".before-restore-{stamp}"));
        Self { was_there: place.exists(), aside: aside.into(), place }
    }

    fn set_aside(&self) -> io::Result<()> {
        rename_if_there(&self.place, &self.aside)
    }

    /// However far it came. Without anything aside, what was there before is there still.
    fn undo(&self) -> io::Result<()> {
        if self.was_there && !self.aside.exists() {
            return Ok(());
        }
        remove(&self.place)?;
        rename_if_there(&self.aside, &self.place)
    }
}

impl Placement {
    pub(super) fn new(layout: &Layout, stamp: &str) -> Self {
        let log = layout.log();
        let name = &layout.log_name;
        // A server that cannot be asked may be of either kind.
        let keeps_log = layout.appends != Some(false);
        Self {
            staged: layout.directory.join(format!(".tmp-restore-{stamp}.rdb")),
            dump: Moved::new(layout.dump(), stamp),
            base: keeps_log.then(|| log.join(format!("{name}.1.base.rdb"))),
            manifest: log.join(format!("{name}.manifest")),
            log: Moved::new(log, stamp),
        }
    }

    /// Asked before anything is renamed: undoing goes by what lies aside.
    pub(super) fn check_free(&self) -> Result<(), String> {
        let taken = [&self.dump.aside, &self.log.aside].into_iter().find(|path| path.exists());
        taken.map_or(Ok(()), |path| Err(format!("{} exists already", path.display())))
    }

    /// Nothing is overwritten: what is there is set aside first.
    pub(super) fn place(&self) -> Result<(), String> {
        self.try_place().map_err(|error| format!("the file cannot be put in place: {error}"))
    }

    fn try_place(&self) -> io::Result<()> {
        self.dump.set_aside()?;
        self.log.set_aside()?;
        let owner = Owner::of(self.staged.parent().unwrap_or(Path::new("/")))?;
        owner.give(&self.staged, 0o640)?;
        if let Some(base) = &self.base {
            self.make_log(base, &owner)?;
        }
        fs::rename(&self.staged, &self.dump.place)?;
        sync_parent(&self.dump.place)
    }

    /// The base is the same file under a second name: it is never written, only replaced.
    fn make_log(&self, base: &Path, owner: &Owner) -> io::Result<()> {
        DirBuilder::new().mode(0o770).create(&self.log.place)?;
        fs::hard_link(&self.staged, base)?;
        let name = base.file_name().unwrap_or_default().to_string_lossy();
        write_whole(&self.manifest, format!("file {name} seq 1 type b\n").as_bytes())?;
        owner.give(&self.manifest, 0o640)?;
        owner.give(&self.log.place, 0o770)
    }

    /// Whatever of it was done: the data has its names again.
    pub(super) fn undo(&self) -> Result<(), String> {
        let undone = self.dump.undo().and_then(|()| self.log.undo()).and_then(|()| {
            remove(&self.staged)?;
            sync_parent(&self.dump.place)
        });
        undone.map_err(|error| format!("the data cannot be given back: {error}"))
    }

    pub(super) fn where_aside(&self) -> String {
        let aside = [&self.dump.aside, &self.log.aside];
        let there: Vec<_> = aside.iter().filter(|path| path.exists()).collect();
        match there[..] {
            [] => "there was no data before".to_owned(),
            [only] => format!("the data of before is in {}", only.display()),
            _ => format!(
                "the data of before is in {} and {}",
                aside[0].display(),
                aside[1].display()
            ),
        }
    }
}

/// Files are the server's, whoever of the two writes them.
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn of(directory: &Path) -> io::Result<Self> {
        let directory = fs::metadata(directory)?;
        Ok(Self { uid: directory.uid(), gid: directory.gid() })
    }

    /// Without the right to give it away the group has to do.
    fn give(&self, path: &Path, mode: u32) -> io::Result<()> {
        if let Err(error) = std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)) {
            let group = std::os::unix::fs::chown(path, None, Some(self.gid));
            group.map_err(|_| error)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        File::open(path)?.sync_all()
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
