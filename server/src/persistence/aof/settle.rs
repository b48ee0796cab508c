//! What was not loaded goes out of the log's way: copied or moved aside, told exactly. In an order in
//! which a power cut anywhere lets the next start come to the same.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Options;
use super::aside::Aside;
use super::load::Source;
use super::manifest::{self, Entry, Kind};
use super::start::Loaded;
use crate::config::load::reason;
use crate::rdb::crc64::Crc64;
use crate::storage::{Purpose, Storage};

const COPY_BYTES: u64 = 256 * 1024;
/// Behind the last entry of an RDB file stands this byte, then its checksum.
const RDB_END: u8 = 0xff;

struct Settling<'o> {
    storage: &'o dyn Storage,
    options: &'o Options,
    dir: PathBuf,
    aside: Aside,
}

pub(super) fn settle(
    storage: &dyn Storage,
    options: &Options,
    loaded: &mut Loaded,
) -> io::Result<()> {
    let aside = Aside::new(&loaded.names);
    let mut settling = Settling { storage, options, dir: options.path(), aside };
    for (entry, from) in std::mem::take(&mut loaded.cuts) {
        settling.cut(&entry, from, loaded)?;
    }
    if let Some((base, proved)) = loaded.salvage.take() {
        settling.salvage(&base, proved, loaded)?;
    }
    if loaded.is_changed {
        loaded.manifest.write(storage, &settling.dir, &options.name)?;
    }
    for entry in std::mem::take(&mut loaded.dropped) {
        settling.set_aside(&entry.name, loaded)?;
    }
    settling.strays(loaded)?;
    storage.sync_dir(&settling.dir)
}

impl Settling<'_> {
    /// Keeps what stands behind `from`, and cuts it off.
    fn cut(&mut self, entry: &Entry, from: u64, loaded: &mut Loaded) -> io::Result<()> {
        let path = self.dir.join(&entry.name);
        let source = Source { storage: self.storage, path: &path, name: &entry.name };
        let report = &mut loaded.report;
        report.dropped_bytes += self.storage.len(&path)?.saturating_sub(from);
        report.dropped_commands += source.count_commands(from)?;
        if source.is_zero(from)? {
            report.faults.push(format!("zeros at the end of {} were cut off", entry.name));
        } else {
            let kept = self.aside.copy_tail(self.storage, &self.dir, &entry.name, from);
            keep_note(kept, &entry.name, loaded);
        }
        let mut file = self.storage.append(&path, Purpose::Log)?;
        file.set_len(from)?;
        file.sync()
    }

    /// Makes a whole RDB file of the part of a base that is right.
    fn salvage(&mut self, base: &Entry, proved: u64, loaded: &mut Loaded) -> io::Result<()> {
        let log = &self.options.name;
        let taken = loaded.names.iter().filter_map(|name| manifest::base_seq(log, name)).max();
        let entry = Entry::base(log, taken.unwrap_or(base.seq).max(base.seq) + 1, true);
        let mut input = self.storage.open(&self.dir.join(&base.name))?.take(proved);
        let mut output = self.storage.create(&self.dir.join(&entry.name), Purpose::Rewrite)?;
        let mut crc = Crc64::default();
        let mut piece = Vec::new();
        while input.by_ref().take(COPY_BYTES).read_to_end(&mut piece)? > 0 {
            crc.update(&piece);
            output.write_all(&piece)?;
            piece.clear();
        }
        crc.update(&[RDB_END]);
        piece.push(RDB_END);
        piece.extend(crc.value().to_le_bytes());
        output.write_all(&piece)?;
        output.sync()?;
        loaded.names.push(entry.name.clone());
        loaded.manifest.base = Some(entry);
        loaded.dropped.push(base.clone());
        Ok(())
    }

    /// Moves a file away that was part of the log.
    fn set_aside(&mut self, name: &str, loaded: &mut Loaded) -> io::Result<()> {
        let path = self.dir.join(name);
        let len = match self.storage.len(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            len => len?,
        };
        if manifest::increment_seq(&self.options.name, name).is_some() {
            let source = Source { storage: self.storage, path: &path, name };
            loaded.report.dropped_commands += source.count_commands(0)?;
        }
        loaded.report.dropped_bytes += len;
        let kept = self.aside.move_file(self.storage, &self.dir, name);
        loaded.names.retain(|other| other != name);
        keep_note(kept, name, loaded);
        Ok(())
    }

    /// Files that are named like the log's and are not part of it: a rotation, a rewrite or a repair
    /// that was not finished. Another server's log is not ours to tidy.
    fn strays(&mut self, loaded: &mut Loaded) -> io::Result<()> {
        if !loaded.is_ours && !loaded.manifest.is_empty() {
            return Ok(());
        }
        let log = &self.options.name;
        let is_listed = |name: &String| loaded.manifest.entries().any(|entry| entry.name == *name);
        let strays: Vec<(String, Kind)> = loaded
            .names
            .iter()
            .filter(|name| !is_listed(name))
            .filter_map(|name| {
                let base = manifest::base_seq(log, name).map(|_| Kind::Base);
                let kind = base.or(manifest::increment_seq(log, name).map(|_| Kind::Increment));
                kind.map(|kind| (name.clone(), kind))
            })
            .collect();
        for (name, kind) in strays {
            let path = self.dir.join(&name);
            if !loaded.manifest.is_empty() && self.is_superfluous(&path, &name, kind, loaded)? {
                self.storage.remove(&path)?;
                loaded.names.retain(|other| *other != name);
                continue;
            }
            loaded.report.faults.push(format!("{name} is not part of the log"));
            if !loaded.manifest.is_empty() {
                self.set_aside(&name, loaded)?;
            }
        }
        Ok(())
    }

    /// A base is not the only place of anything before it is listed, and an increment without
    /// commands has nothing to lose.
    fn is_superfluous(
        &self,
        path: &Path,
        name: &str,
        kind: Kind,
        loaded: &Loaded,
    ) -> io::Result<bool> {
        match kind {
            // Where anything else was wrong, this may be as well.
            Kind::Base => Ok(loaded.report.is_clean()),
            _ => {
                let source = Source { storage: self.storage, path, name };
                Ok(source.is_zero(0)? || source.has_only_head()?)
            }
        }
    }
}

fn keep_note(kept: io::Result<String>, name: &str, loaded: &mut Loaded) {
    match kept {
        Ok(kept) => loaded.report.set_aside.push(kept),
        Err(error) => {
            let reason = reason(&error);
            loaded
                .report
                .faults
                .push(format!("what was wrong in {name} could not be kept: {reason}"));
        }
    }
}
