//! The start: the log is loaded as far as it is right, put in order, and opened for writing.
//!
//! 1. [`choose`](super::choose): which files it is made of
//! 2. the base is loaded; if it is damaged, what it stood for, where that is still there
//! 3. the increments, up to the first that is not right to its end
//! 4. what was not loaded is set aside, the manifest written, history removed
//!
//! A power cut in the middle of it leaves what the next start finds again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::choose::{choose, names_in};
use super::files::{Begun, Files};
use super::load::Part;
use super::manifest::{self, Manifest};
use super::marks;
use super::settle::settle;
use super::start::{Loaded, load};
use super::writer::Writer;
use super::{Apply, Fatal, Log, Opened, Options, Report};
use crate::clock;
use crate::log::notice;
use crate::storage::{Purpose, Storage};

/// Loads the log, repairs what is broken, and opens it for writing.
pub fn open(
    storage: Arc<dyn Storage>,
    options: &Options,
    apply: &mut dyn Apply,
) -> Result<Opened, Fatal> {
    let Prepared { files, writer, report, statement } = prepare(storage, options, apply)?;
    let log = Log::start(options, files, writer)
        .map_err(|error| Fatal::new(format!("Can't start the log's thread: {error}")))?;
    log.append(&statement);
    Ok(Opened { log, report })
}

/// Begins a log while the server runs. It is none before its first base was adopted: until then a
/// restart finds what was there before.
pub fn begin(storage: Arc<dyn Storage>, options: &Options) -> io::Result<Log> {
    let mut files = anew(&storage, options)?;
    let begun = files.begin_increment(None, timestamp(options), true)?;
    let writer = Writer::new(Arc::clone(&storage), begun);
    Log::start(options, files, writer)
}

/// Makes `temp` the base of a log that nothing is appended to: a rewrite without a log.
pub fn adopt_base_alone(
    storage: &Arc<dyn Storage>,
    options: &Options,
    temp: &Path,
) -> io::Result<()> {
    let mut files = anew(storage, options)?;
    files.rewrites_everything();
    files.adopt(temp)?;
    if options.keep_history { Ok(()) } else { files.remove_history() }
}

/// The files of a log that will take the place of the one that is there, whatever state that is in.
fn anew(storage: &Arc<dyn Storage>, options: &Options) -> io::Result<Files> {
    let dir = options.path();
    storage.create_dir(&dir)?;
    let names = names_in(&**storage, &dir)?;
    let path = dir.join(manifest::manifest(&options.name));
    let old = Manifest::read(&**storage, &path)?.and_then(Result::ok).unwrap_or_default();
    let mut files = Files::new(Arc::clone(storage), options, old);
    skip_taken(&mut files, options, &names);
    Ok(files.anew())
}

fn skip_taken(files: &mut Files, options: &Options, names: &[String]) {
    let last = |seq: fn(&str, &str) -> Option<u64>| {
        names.iter().filter_map(|name| seq(&options.name, name)).max().unwrap_or(0)
    };
    files.skip(last(manifest::base_seq), last(manifest::increment_seq));
}

fn timestamp(options: &Options) -> Option<i64> {
    options.timestamps.then(|| clock::wall_us() / 1_000_000)
}

/// A log that is ready for its thread.
pub(super) struct Prepared {
    pub(super) files: Files,
    pub(super) writer: Writer,
    pub(super) report: Report,
    /// What the increment has to state first, because the files are others than it knows.
    pub(super) statement: Vec<u8>,
}

pub(super) fn prepare(
    storage: Arc<dyn Storage>,
    options: &Options,
    apply: &mut dyn Apply,
) -> Result<Prepared, Fatal> {
    remove_temporary(&*storage, options);
    let chosen = choose(&*storage, options)?;
    let mut loaded = load(&*storage, options, chosen, apply)?;
    let dir = options.path();
    let unusable = |error: io::Error| Fatal::io("write the append-only file in", &dir, &error);
    storage.create_dir(&dir).and_then(|()| storage.sync_dir(options.parent())).map_err(unusable)?;
    settle(&*storage, options, &mut loaded).map_err(unusable)?;
    let Loaded { manifest, names, report, last, .. } = loaded;

    let mut files = Files::new(Arc::clone(&storage), options, manifest);
    skip_taken(&mut files, options, &names);
    let begun = begin_writing(&*storage, options, &mut files, last).map_err(unusable)?;
    if !options.keep_history {
        files.remove_history().map_err(unusable)?;
    }
    files.measure();
    let statement = if report.is_clean() { Vec::new() } else { marks::statement(files.manifest()) };
    Ok(Prepared { files, writer: Writer::new(storage, begun), report, statement })
}

/// Files that were never finished.
fn remove_temporary(storage: &dyn Storage, options: &Options) {
    let manifest = manifest::temp_manifest(&options.name);
    let increment = format!("temp-{}.incr", options.name);
    let is_rewrite = |name: &str| name.starts_with("temp-rewriteaof-") && name.ends_with(".aof");
    for dir in [&*options.path(), options.parent()] {
        for name in names_in(storage, dir).unwrap_or_default() {
            if name == manifest || name == increment || is_rewrite(&name) {
                // What cannot be removed is written over.
                let _ = storage.remove(&dir.join(name));
            }
        }
    }
}

/// Opens the last increment, or begins one. One that another server wrote to is left as it is.
fn begin_writing(
    storage: &dyn Storage,
    options: &Options,
    files: &mut Files,
    last: Option<Part>,
) -> io::Result<Begun> {
    if let Some(empty) = options.empty_base.as_ref().filter(|_| files.manifest().is_empty()) {
        files.begin_base(empty)?;
    }
    let Some(last) = last else {
        return files.begin_increment(None, timestamp(options), false);
    };
    if last.is_foreign || !last.is_ours {
        return files.begin_increment(Some(last.proof()), timestamp(options), false);
    }
    let Some(entry) = files.current() else {
        return Err(io::Error::other("no increment is listed"));
    };
    let path = files.path_of(entry);
    let file = storage.append(&path, Purpose::Log)?;
    notice!("Opening AOF incr file {} on server start", entry.name);
    Ok(Begun { file, path, len: last.good, crc: last.crc })
}
