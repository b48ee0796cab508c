//! The files of a log executed in order, up to what cannot be trusted. Changes no file: what is to be
//! done about it is [`settle`](super::settle)'s.

use std::path::PathBuf;
use std::time::Instant;

use super::choose::Chosen;
use super::load::{BaseRefused, Ending, Head, Part, Source};
use super::manifest::{Entry, Manifest};
use super::marks::Proof;
use super::{Apply, Fatal, Options, Report};
use crate::log::{notice, warning};
use crate::storage::Storage;

/// What was loaded, and what has to be put in order.
pub(super) struct Loaded {
    /// What the log consists of from now on.
    pub(super) manifest: Manifest,
    /// Whether another manifest is on the disk.
    pub(super) is_changed: bool,
    /// Every name in the folder.
    pub(super) names: Vec<String>,
    pub(super) report: Report,
    /// The increment that ends too late, and where it has to end.
    pub(super) cuts: Vec<(Entry, u64)>,
    /// Files that were part of the log and are not any more.
    pub(super) dropped: Vec<Entry>,
    /// The base is to be made anew of so many bytes of this file.
    pub(super) salvage: Option<(Entry, u64)>,
    /// The last increment of the manifest.
    pub(super) last: Option<Part>,
    /// Some increment is one of ours.
    pub(super) is_ours: bool,
}

struct Start<'o> {
    storage: &'o dyn Storage,
    options: &'o Options,
    dir: PathBuf,
    loaded: Loaded,
    heads: Vec<Head>,
}

pub(super) fn load(
    storage: &dyn Storage,
    options: &Options,
    chosen: Chosen,
    apply: &mut dyn Apply,
) -> Result<Loaded, Fatal> {
    let loaded = Loaded {
        manifest: chosen.manifest,
        is_changed: !chosen.faults.is_empty(),
        names: chosen.names,
        report: Report { faults: chosen.faults, ..Report::default() },
        cuts: Vec::new(),
        dropped: Vec::new(),
        salvage: None,
        last: None,
        is_ours: false,
    };
    let mut start = Start { storage, options, dir: options.path(), loaded, heads: Vec::new() };
    start.read_heads()?;
    start.check_foreign()?;
    if start.base(apply)? {
        start.increments(apply)?;
    }
    if let Some(stated) = start.contradiction() {
        start.load_again(stated, apply)?;
    }
    Ok(start.loaded)
}

impl Start<'_> {
    fn read_heads(&mut self) -> Result<(), Fatal> {
        self.heads.clear();
        for entry in &self.loaded.manifest.increments {
            let path = self.dir.join(&entry.name);
            let source = Source { storage: self.storage, path: &path, name: &entry.name };
            self.heads.push(source.head().map_err(|error| source.unreadable(&error))?);
        }
        let is_ours = |head: &Head| matches!(head, Head::Ours { .. } | Head::Damaged);
        self.loaded.is_ours = self.heads.iter().any(is_ours);
        Ok(())
    }

    /// A log of another server that lacks a file is refused, as it would be there.
    fn check_foreign(&self) -> Result<(), Fatal> {
        let Loaded { manifest, names, is_ours, .. } = &self.loaded;
        let missing = manifest.files().find(|entry| !names.contains(&entry.name));
        match missing {
            Some(Entry { name, .. }) if !is_ours => Err(Fatal::new(format!(
                "Unable to obtain the AOF file {name} length. stat: No such file or directory"
            ))),
            _ => Ok(()),
        }
    }

    /// What the last increment says of the files that the base is followed by, if the manifest says
    /// otherwise. The increment is proved, and the manifest is not.
    fn contradiction(&self) -> Option<Manifest> {
        let Loaded { manifest, names, last, .. } = &self.loaded;
        let stated = last.as_ref()?.stated.as_ref()?;
        let is_there = stated.files().all(|entry| names.contains(&entry.name));
        let is_other = stated.base == manifest.base && stated.increments != manifest.increments;
        (is_there && is_other && self.loaded.dropped.is_empty()).then(|| stated.clone())
    }

    fn load_again(&mut self, stated: Manifest, apply: &mut dyn Apply) -> Result<(), Fatal> {
        apply.forget();
        let mut faults = std::mem::take(&mut self.loaded.report.faults);
        faults.push("the manifest contradicts the files: it was made anew from them".to_owned());
        self.loaded.report = Report { faults, ..Report::default() };
        self.loaded.cuts.clear();
        self.loaded.last = None;
        self.loaded.manifest = stated;
        self.loaded.is_changed = true;
        self.read_heads()?;
        if self.base(apply)? {
            self.increments(apply)?;
        }
        Ok(())
    }

    fn fault(&mut self, text: String) {
        self.loaded.report.faults.push(text);
    }

    /// Loads the base; whether the increments follow.
    fn base(&mut self, apply: &mut dyn Apply) -> Result<bool, Fatal> {
        let Some(base) = self.loaded.manifest.base.clone() else { return Ok(true) };
        let path = self.dir.join(&base.name);
        let source = Source { storage: self.storage, path: &path, name: &base.name };
        let began = Instant::now();
        let outcome = match self.storage.len(&path) {
            Err(_) if self.loaded.is_ours => {
                Err(BaseRefused::Damaged { text: "it is missing".to_owned(), proved: Some(0) })
            }
            _ => source.base(apply),
        };
        match outcome {
            Ok(part) => {
                self.judge_base(&base, &part)?;
                self.is_loaded(&part);
                let seconds = began.elapsed().as_secs_f32();
                notice!("DB loaded from base file {}: {seconds:.3} seconds", base.name);
                Ok(true)
            }
            Err(BaseRefused::Fatal(fatal)) => Err(fatal),
            Err(BaseRefused::Damaged { text, proved }) => {
                self.fault(format!("the base {} is damaged: {text}", base.name));
                self.without(base, proved, apply)
            }
        }
    }

    /// The base is damaged: what it stood for is loaded instead, if that is still there.
    fn without(
        &mut self,
        base: Entry,
        proved: Option<u64>,
        apply: &mut dyn Apply,
    ) -> Result<bool, Fatal> {
        apply.forget();
        if let Some(older) = self.older_log(&base) {
            self.fault("it was loaded from the files that this base stood for".to_owned());
            self.loaded.manifest = older;
            self.loaded.is_changed = true;
            self.loaded.dropped.push(base);
            self.read_heads()?;
            return self.base(apply);
        }
        if !self.loaded.is_ours || !self.options.load_truncated {
            let name = base.name;
            let refusal = format!("Error reading the RDB base file {name}, AOF loading aborted");
            return Err(Fatal(self.loaded.report.faults.drain(..).chain([refusal]).collect()));
        }
        let proved = proved.unwrap_or(0);
        if proved > 0 {
            let path = self.dir.join(&base.name);
            let source = Source { storage: self.storage, path: &path, name: &base.name };
            source.part_of_base(proved, apply)?;
        }
        let manifest = &mut self.loaded.manifest;
        let dropped = manifest.increments.drain(..).chain(manifest.base.take());
        self.loaded.dropped.extend(dropped);
        self.loaded.report.bytes += proved;
        self.loaded.is_changed = true;
        self.fault(format!(
            "{proved} bytes of it are right and were loaded; without the rest, the commands since \
             then would make wrong values: they were not"
        ));
        self.loaded.salvage = (proved > 0).then_some((base, proved));
        Ok(false)
    }

    /// The log as it was before the last base: the first increment behind that base says so.
    fn older_log(&self, base: &Entry) -> Option<Manifest> {
        let Some(Head::Ours { stated: Some(stated), .. }) = self.heads.first() else { return None };
        let first = self.loaded.manifest.increments.first()?;
        let is_older = stated.base.as_ref().is_none_or(|older| older.seq < base.seq);
        let ends_there = stated.increments.last().is_some_and(|last| last.name == first.name);
        let is_there = stated.files().all(|entry| self.loaded.names.contains(&entry.name));
        if !is_older || !ends_there || !is_there {
            return None;
        }
        let mut older = stated.clone();
        older.increments.extend(self.loaded.manifest.increments.iter().skip(1).cloned());
        Some(older)
    }

    /// What stands behind the part of a base that was loaded is no better than in Redis.
    fn judge_base(&mut self, base: &Entry, part: &Part) -> Result<(), Fatal> {
        if part.ending == Ending::Nothing {
            return Ok(());
        }
        if self.loaded.is_ours {
            self.fault(format!("{} goes on behind its end at byte {}", base.name, part.good));
            self.cut(base.clone(), part);
            return Ok(());
        }
        let is_last = self.loaded.manifest.increments.is_empty();
        self.judge_foreign(&base.name, part, is_last)?;
        self.cut(base.clone(), part);
        Ok(())
    }

    fn is_loaded(&mut self, part: &Part) {
        self.loaded.report.bytes += part.good;
        self.loaded.report.commands += part.commands;
    }

    fn increments(&mut self, apply: &mut dyn Apply) -> Result<(), Fatal> {
        for index in 0..self.loaded.manifest.increments.len() {
            let entry = self.loaded.manifest.increments[index].clone();
            if self.heads[index] == Head::Missing {
                self.fault(format!("the increment {} is missing", entry.name));
                self.drop_from(index);
                return Ok(());
            }
            let path = self.dir.join(&entry.name);
            let source = Source { storage: self.storage, path: &path, name: &entry.name };
            let end = self.said_end(index);
            let began = Instant::now();
            let part = source.increment(end, apply)?;
            self.is_loaded(&part);
            let goes_on = self.judge(index, &entry, &part, end)?;
            if goes_on {
                let seconds = began.elapsed().as_secs_f32();
                notice!("DB loaded from incr file {}: {seconds:.3} seconds", entry.name);
            }
            let is_lost = part.is_ours && part.good == 0;
            if !is_lost {
                self.loaded.report.is_foreign = part.is_foreign;
                self.loaded.last = Some(part);
            }
            if !goes_on {
                self.drop_from(if is_lost { index } else { index + 1 });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where the increment after this one says that it begins.
    fn said_end(&self, index: usize) -> Option<Proof> {
        match self.heads.get(index + 1) {
            Some(Head::Ours { after, .. }) => *after,
            _ => None,
        }
    }

    /// Whether the increment is what it should be, so that the next one may follow.
    fn judge(
        &mut self,
        index: usize,
        entry: &Entry,
        part: &Part,
        end: Option<Proof>,
    ) -> Result<bool, Fatal> {
        let name = &entry.name;
        let is_last = index + 1 == self.loaded.manifest.increments.len();
        if end.is_some_and(|end| part.proof() == end) {
            if part.total > part.good {
                self.fault(format!("{name} goes on where {} begins", self.next_name(index)));
                self.cut(entry.clone(), part);
            }
            return Ok(true);
        }
        if end.is_none() && part.ending == Ending::Nothing {
            return Ok(true);
        }
        if !part.is_ours && end.is_none() {
            self.judge_foreign(name, part, is_last)?;
        } else if !self.options.load_truncated {
            return Err(unexpected_end(name));
        }
        let good = part.good;
        let total = part.total;
        self.fault(match part.ending {
            Ending::Nothing => {
                format!("{name} ends at byte {good}, before where {} begins", self.next_name(index))
            }
            _ => format!("{name} is right up to byte {good} of {total}"),
        });
        if part.good > 0 || !part.is_ours {
            self.cut(entry.clone(), part);
        }
        Ok(false)
    }

    fn next_name(&self, index: usize) -> &str {
        self.loaded.manifest.increments.get(index + 1).map_or("the next one", |next| &next.name)
    }

    /// What Redis does about a file that has no marks.
    fn judge_foreign(&self, name: &str, part: &Part, is_last: bool) -> Result<(), Fatal> {
        let Ending::Short { in_transaction } = part.ending else {
            return Err(Fatal::new(format!(
                "Bad file format reading the append only file {name}: make a backup of your AOF \
                 file, then use ./valkey-check-aof --fix <filename.manifest>"
            )));
        };
        if in_transaction {
            warning!("Revert incomplete MULTI/EXEC transaction in AOF file {name}");
        }
        if !self.options.load_truncated {
            return Err(unexpected_end(name));
        }
        warning!("!!! Warning: short read while loading the AOF file {name}!!!");
        warning!("!!! Truncating the AOF {name} at offset {} !!!", part.good);
        if !is_last {
            return Err(Fatal::new("Fatal error: the truncated file is not the last file"));
        }
        warning!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        Ok(())
    }

    fn cut(&mut self, entry: Entry, part: &Part) {
        if part.total > part.good {
            self.loaded.cuts.push((entry, part.good));
        }
    }

    /// Increments from this one on are part of the log no more.
    fn drop_from(&mut self, index: usize) {
        let dropped = self.loaded.manifest.increments.split_off(index);
        self.loaded.is_changed |= !dropped.is_empty();
        self.loaded.dropped.extend(dropped);
    }
}

fn unexpected_end(name: &str) -> Fatal {
    Fatal::new(format!(
        "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of \
         your AOF file, then use ./valkey-check-aof --fix <filename.manifest>. 2) Alternatively you \
         can set the 'aof-load-truncated' configuration option to yes and restart the server."
    ))
}
