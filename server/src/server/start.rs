//! The start: which files hold the data, and how they get into the engine while it already answers
//! that it is loading.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;
use tokio::task::{JoinError, JoinHandle};

use super::host::{Files, log_options, remove_unfinished, temp_name};
use crate::config::Settings;
use crate::engine::{Data, Engine, LoadMode, Loaded, Loading};
use crate::log;
use crate::net::Shared;
use crate::persistence::aof;
use crate::persistence::load::{Loader, Target};
use crate::persistence::save;
use crate::rdb::file::{Failure, Fault, Proven};
use crate::storage::Purpose;

/// Loads the data there is. An error is a reason not to serve.
pub(super) fn load(
    shared: &Arc<Shared>,
    files: &Files,
    settings: &Settings,
) -> JoinHandle<Result<(), String>> {
    let now_ms = shared.clock.now().ms();
    // From the first connection on, nobody sees data that is not whole.
    shared.engine().persistence.loading = Some(Loading { since_ms: now_ms, ..Loading::default() });
    let start = Start {
        shared: Arc::clone(shared),
        files: files.clone(),
        settings: settings.clone(),
        began: Instant::now(),
    };
    tokio::task::spawn_blocking(move || start.run())
}

/// What became of [`load`].
pub(super) fn outcome(loaded: Result<Result<(), String>, JoinError>) -> Result<(), String> {
    loaded.map_err(|error| format!("Loading ended early: {error}"))?
}

/// The engine that serves meanwhile.
struct Locked<'a>(&'a Shared);

impl Target for Locked<'_> {
    fn with<R>(&mut self, act: impl FnOnce(&mut Engine) -> R) -> R {
        act(&mut self.0.engine())
    }
}

struct Start {
    shared: Arc<Shared>,
    files: Files,
    settings: Settings,
    began: Instant,
}

impl Start {
    fn run(self) -> Result<(), String> {
        remove_unfinished(&*self.files.storage);
        if self.settings.aof.is_on {
            self.load_log()?;
        } else {
            self.load_rdb()?;
        }
        let mut engine = self.shared.engine();
        let dirty = engine.stats.dirty;
        engine.persistence.is_saved(dirty);
        engine.persistence.loading = None;
        Ok(())
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.shared.engine()
    }

    // ── The RDB file ────────────────────────────────────────────────────────────────────────

    /// Whether there was one.
    fn load_rdb(&self) -> Result<bool, String> {
        let path = self.settings.rdb.filename.clone();
        let total = match self.files.storage.len(&path) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(fatal_rdb(&error.to_string())),
        };
        self.expect(total);
        log::notice!("Loading RDB: {}", path.display());
        match self.read_rdb(&path, None) {
            Ok(()) => {}
            Err(failure) if failure.fault.is_damage() && failure.proven.keys > 0 => {
                self.salvage(&path, total, &failure)?;
            }
            Err(failure) => {
                if failure.fault.is_damage() {
                    let Failure { fault, offset, .. } = &failure;
                    log::warning!("Internal error in RDB reading offset {offset} -> {fault}");
                    log::warning!("Terminating server after rdb file reading failure.");
                }
                return Err(fatal_rdb(&failure.to_string()));
            }
        }
        let Loaded { keys, expired, empty, hashes_expired } = self.engine().persistence.loaded;
        let empty =
            if empty > 0 { format!(" empty keys skipped: {empty},") } else { String::new() };
        log::notice!(
            "Done loading RDB, keys loaded: {keys}, keys expired: {expired},{empty} all fields expired hashes: {hashes_expired}."
        );
        log::notice!("DB loaded from disk: {:.3} seconds", self.began.elapsed().as_secs_f64());
        Ok(true)
    }

    fn read_rdb(&self, path: &Path, until: Option<Proven>) -> Result<(), Failure> {
        let opened = self.files.storage.open(path);
        let mut file = opened.map_err(|error| Failure {
            fault: Fault::Io(error),
            offset: 0,
            proven: Proven::default(),
        })?;
        let mut loader = Loader::new(Locked(&self.shared), &self.shared.clock);
        loader.rdb(&mut *file, LoadMode::default(), until).map(drop)
    }

    /// Loads what the file's own checks prove, and keeps the file as it was beside the new one.
    fn salvage(&self, path: &Path, len: u64, failure: &Failure) -> Result<(), String> {
        let Proven { bytes, keys } = failure.proven;
        log::warning!("The RDB file {} is damaged: {failure}", path.display());
        self.forget_everything();
        let read = self.read_rdb(path, Some(failure.proven));
        read.map_err(|failure| fatal_rdb(&failure.to_string()))?;
        let aside = self.set_aside(path).map_err(|error| fatal_rdb(&error.to_string()))?;
        log::warning!(
            "{keys} keys in its first {bytes} of {len} bytes are proved by checksums and were loaded; the file is kept as {}.",
            aside.display()
        );
        let mut engine = self.engine();
        let now = self.shared.clock.now();
        engine.persistence.damage.bytes += len - bytes;
        engine.persistence.damage.files += 1;
        engine.save_now(now)
    }

    /// Copies a damaged file to a name that is free.
    fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let storage = &*self.files.storage;
        let name = |nth: u32| PathBuf::from(format!("{}.damaged-{nth}", path.display()));
        let aside = (1..).map(name).find(|name| storage.len(name).is_err());
        let aside = aside.expect("there are more numbers than files");
        let (mut from, mut to) = (storage.open(path)?, storage.create(&aside, Purpose::Snapshot)?);
        let mut piece = vec![0; 64 << 10];
        loop {
            match from.read(&mut piece)? {
                0 => break,
                len => to.write_all(&piece[..len])?,
            }
        }
        to.sync()?;
        Ok(aside)
    }

    // ── The log ─────────────────────────────────────────────────────────────────────────────

    fn load_log(&self) -> Result<(), String> {
        let options = log_options(&self.settings);
        let storage = Arc::clone(&self.files.storage);
        if !self.has_log(&options) && self.load_rdb()? {
            // Redis would begin an empty log here, and lose what the RDB file holds.
            return self.begin_log(options);
        }
        self.expect(self.log_size(&options));
        let now = self.shared.clock.now();
        self.engine().begin_replay(now);
        let mut loader = Loader::new(Locked(&self.shared), &self.shared.clock);
        let opened = aof::open(storage, &options, &mut loader).map_err(|fatal| {
            fatal.0.iter().for_each(|line| log::warning!("{line}"));
            "The append-only file cannot be loaded; the log says why.".to_owned()
        })?;
        let report = &opened.report;
        for fault in &report.faults {
            log::warning!("{fault}");
        }
        if report.bytes > 0 {
            let seconds = self.began.elapsed().as_secs_f64();
            log::notice!("DB loaded from append only file: {seconds:.3} seconds");
        }
        let mut engine = self.engine();
        engine.end_replay();
        engine.persistence.damage.bytes += report.dropped_bytes;
        engine.persistence.damage.commands += report.dropped_commands;
        engine.persistence.damage.files += report.set_aside.len() as u64;
        self.files.open_log(opened.log);
        engine.log_is_open();
        if report.is_foreign {
            // Until then the end of it is not proved by checksums.
            engine.persistence.rewrite.is_scheduled = true;
        }
        Ok(())
    }

    /// Whether there is anything that a log could be loaded from.
    fn has_log(&self, options: &aof::Options) -> bool {
        let storage = &*self.files.storage;
        let names = storage.list(&options.path()).unwrap_or_default();
        let old = options.dir.join(&options.name);
        storage.len(&old).is_ok() || names.iter().any(|name| name.starts_with(&options.name))
    }

    /// Bytes of all its files.
    fn log_size(&self, options: &aof::Options) -> u64 {
        let (storage, dir) = (&*self.files.storage, options.path());
        let names = storage.list(&dir).unwrap_or_default();
        names.iter().filter_map(|name| storage.len(&dir.join(name)).ok()).sum()
    }

    /// Begins a log with the data that is there.
    fn begin_log(&self, options: aof::Options) -> Result<(), String> {
        let failed = |error: io::Error| format!("Can't begin the append-only file: {error}");
        let log = aof::begin(Arc::clone(&self.files.storage), &options).map_err(failed)?;
        let temp = temp_name("rewriteaof-", "aof");
        let target = save::Target {
            storage: Arc::clone(&self.files.storage),
            temp: temp.clone(),
            purpose: Purpose::Rewrite,
            checksum: self.settings.rdb.checksum,
            sync_as_written: self.settings.aof.sync_as_written,
        };
        let mut engine = self.engine();
        let used_memory = engine.used_memory();
        let data = Data { keyspace: &engine.keyspace, functions: &engine.functions, used_memory };
        let now = self.shared.clock.now();
        save::write_all(target, &data, &self.settings, true, now).map_err(failed)?;
        log.adopt_base(&temp).map_err(failed)?;
        self.files.open_log(log);
        engine.log_is_open();
        log::notice!("The append-only file begins with the data of the RDB file.");
        Ok(())
    }

    // ── Both ────────────────────────────────────────────────────────────────────────────────

    fn expect(&self, total_bytes: u64) {
        if let Some(loading) = &mut self.engine().persistence.loading {
            (loading.total_bytes, loading.loaded_bytes) = (total_bytes, 0);
        }
    }

    fn forget_everything(&self) {
        let mut engine = self.engine();
        engine.forget_everything();
        engine.persistence.loaded = Loaded::default();
    }
}

fn fatal_rdb(reason: &str) -> String {
    log::warning!("{reason}");
    let text = "Fatal error loading the DB, check server logs. Exiting.";
    log::warning!("{text}");
    text.to_owned()
}
