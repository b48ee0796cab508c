//! An engine to execute things by, and a disk in memory.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_server::clock::{Clock, Now};
use holdfast_server::commands::Names;
use holdfast_server::config::cli::Launch;
use holdfast_server::config::load::load;
use holdfast_server::config::rewrite::Scope;
use holdfast_server::config::{Config, Effect, Settings};
use holdfast_server::engine::{
    Data, Durable, Engine, Garbage, Host, LoadMode, LogStatus, Reload, Seed, SnapshotSink,
    SnapshotTask, Transfer,
};
use holdfast_server::log::{self, Format, Level, Timestamp};
use holdfast_server::process::{self, Process};
use holdfast_server::rdb::file::Options;
use holdfast_server::storage::{File, Purpose, Storage, Written};

use super::conf::OnlyStdin;

/// Small, so that few elements are many and few bytes too long.
const CONFIG: &[u8] =
    b"proto-max-bulk-len 1mb\nlist-max-listpack-size 3\nset-max-intset-entries 4\n\
    set-max-listpack-entries 3\nset-max-listpack-value 8\nhash-max-listpack-entries 3\n\
    hash-max-listpack-value 8\nzset-max-listpack-entries 3\nzset-max-listpack-value 8\n\
    stream-node-max-entries 3\ndatabases 4\n";

/// An engine without data whose world does nothing.
pub(super) fn engine(clock: &Clock) -> Engine {
    be_quiet();
    let launch = Launch { stdin: true, ..Launch::default() };
    let config = load(&launch, &mut OnlyStdin(CONFIG)).expect("a good configuration");
    Engine::new(config, Names::default(), Seed::default(), Box::new(Nowhere), clock.now())
}

/// Thousands of starts have a lot to say.
pub(super) fn be_quiet() {
    log::configure(&log::Settings {
        level: Level::Nothing,
        file: None,
        format: Format::Legacy,
        timestamp: Timestamp::Legacy,
        syslog: None,
    });
}

struct Nowhere;

const NO_DISK: &str = "there is no disk here";

impl Host for Nowhere {
    fn rewrite_config(&mut self, _: &Config, _: Scope) -> Result<(), String> {
        Err(NO_DISK.into())
    }

    fn apply(&mut self, _: &Effect, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn sleep(&mut self, _: Duration) {}

    fn exit(&mut self, _: u8) {}

    fn transfer(&mut self, _: Transfer) {}

    fn discard(&mut self, _: Garbage) {}

    fn log(&mut self, _: &[u8]) -> Option<Durable> {
        None
    }

    fn sleep_before_log(&mut self, _: Duration) {}

    fn log_end(&self) -> Option<Durable> {
        None
    }

    fn log_status(&mut self) -> Option<LogStatus> {
        None
    }

    fn begin_snapshot(
        &mut self,
        _: SnapshotTask,
        _: &Settings,
        _: Options,
    ) -> Result<Box<dyn SnapshotSink>, String> {
        Err(NO_DISK.into())
    }

    fn call_off_snapshot(&mut self) {}

    fn save(&mut self, _: &Data<'_>, _: &Settings, _: Now) -> Result<(), String> {
        Err(NO_DISK.into())
    }

    fn reload_rdb(&mut self, _: &Settings, _: LoadMode) -> Result<Reload, String> {
        Err(NO_DISK.into())
    }

    fn reload_log(&mut self, _: &Settings) -> Result<Reload, String> {
        Err(NO_DISK.into())
    }

    fn written(&self) -> Written {
        Written::default()
    }

    fn crash(&mut self) {}

    fn process(&self) -> Process {
        process::read()
    }

    fn wall_us(&self) -> i64 {
        1_700_000_000_000_000
    }
}

/// Files by their whole names; clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, path: impl Into<PathBuf>, content: &[u8]) {
        self.files().insert(path.into(), content.to_vec());
    }

    fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files().get(path).cloned().ok_or(ErrorKind::NotFound.into())
    }
}

impl Storage for Memory {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.content(path)?)))
    }

    fn create(&self, path: &Path, _: Purpose) -> io::Result<Box<dyn File>> {
        self.put(path, b"");
        Ok(Box::new(Open { disk: self.clone(), path: path.to_owned() }))
    }

    fn append(&self, path: &Path, _: Purpose) -> io::Result<Box<dyn File>> {
        self.content(path)?;
        Ok(Box::new(Open { disk: self.clone(), path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.files().remove(from).ok_or(ErrorKind::NotFound)?;
        self.put(to, &content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files().remove(path).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.files();
        let here = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.content(path)?.len() as u64)
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

struct Open {
    disk: Memory,
    path: PathBuf,
}

impl File for Open {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.files().entry(self.path.clone()).or_default().extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.disk.files().entry(self.path.clone()).or_default().resize(len, 0);
        Ok(())
    }
}
