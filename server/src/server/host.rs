//! The engine's window on the world: files, sockets, the process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::alloc;
use crate::clock::{Clock, Now};
use crate::config::settings::{Aof, Fsync};
use crate::config::{Config, Effect, Settings, load, rewrite, set};
use crate::engine::{
    Bell, Certificates, Data, Durability, Durable, Garbage, Host, LoadMode, LogStatus, Reload,
    SnapshotPurpose, SnapshotSink, SnapshotTask, Transfer,
};
use crate::log;
use crate::net::inherited::Inherited;
use crate::net::sockets::{Binding, Sockets};
use crate::net::tls::Tls;
use crate::persistence::aof::{self, Log, Source};
use crate::persistence::as_log;
use crate::persistence::load::Loader;
use crate::persistence::save::{self, Leave, Target};
use crate::process::{self, descriptors, oom, title};
use crate::rdb::file::Options;
use crate::storage::{Counters, Disk, Purpose, Storage, Written};
use crate::task;

/// What the engine asks of the process, carried out by the task that owns the sockets.
pub(super) enum Request {
    /// Accept there, and nowhere else.
    Listen(Binding),
    Exit(u8),
    /// Send keys to another server.
    Transfer(Transfer),
    /// The file of a snapshot is where it belongs, or will never be.
    Written(SnapshotTask, Result<(), String>),
}

/// The data files, as all parts of the process have them.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) storage: Arc<dyn Storage>,
    counters: Arc<Counters>,
    /// The append-only file, while there is one.
    log: Arc<Mutex<Option<Arc<Log>>>>,
    /// Where its bytes may gather.
    source: Arc<OnceLock<Arc<dyn Source>>>,
}

impl Files {
    pub(super) fn new() -> Self {
        let disk = Disk::default();
        let counters = disk.counters();
        let (log, source) = (Arc::default(), Arc::default());
        Self { storage: Arc::new(disk), counters, log, source }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Option<Arc<Log>>> {
        self.log.lock().expect("nobody panics while he holds it")
    }

    pub(super) fn log_comes_for(&self, source: impl Source + 'static) {
        let _ = self.source.set(Arc::new(source));
    }

    /// Everything that changes is logged there from now on.
    pub(super) fn open_log(&self, log: Log) {
        let log = Arc::new(log);
        if let Some(source) = self.source.get() {
            log.come_for(Arc::clone(source));
        }
        let bell = Arc::new(Bell::default());
        log.announce_through(Arc::clone(&bell));
        task::spawn(announce_durable(Arc::downgrade(&log), bell));
        *self.log() = Some(log);
    }

    /// Writes and syncs what waits; nothing is logged any more.
    pub(super) fn close_log(&self) {
        let Some(log) = self.log().take() else { return };
        log::notice!("Calling fsync() on the AOF file.");
        if let Err(error) = log.close() {
            log::warning!("The end of the append-only file was not written: {error}");
        }
    }
}

/// Rings for all who wait for a sync, from a thread of the runtime. From the log's own thread each of
/// them would cost a system call and two switches of threads.
async fn announce_durable(log: Weak<Log>, bell: Arc<Bell>) {
    loop {
        bell.rings().await;
        let Some(log) = log.upgrade() else { return };
        log.ring_reached();
    }
}

/// The engine's window on the world.
pub(super) struct Process {
    requests: mpsc::UnboundedSender<Request>,
    files: Files,
    sockets: Sockets,
    tls: Arc<Tls>,
    /// Replies wait until what they tell of is durable: `appendfsync always`.
    holds_replies: bool,
    log_delay: Duration,
    /// Of the snapshot that was begun last.
    leave: Leave,
    oom_score: oom::OomScore,
}

/// Names an unfinished file so that no other process has it.
pub(super) fn temp_name(what: &str, extension: &str) -> PathBuf {
    format!("temp-{what}{}.{extension}", std::process::id()).into()
}

/// Removes unfinished files of processes that are gone; a power cut leaves them.
pub(super) fn remove_unfinished(storage: &dyn Storage) {
    let names = storage.list(Path::new(".")).unwrap_or_default();
    for name in names.iter().filter(|name| is_left_over(name)) {
        log::notice!("Removing the unfinished file {name}");
        // It is in nobody's way, and the next start tries again.
        let _ = storage.remove(Path::new(name));
    }
}

fn is_left_over(name: &str) -> bool {
    let Some((stem, "rdb" | "aof")) = name.rsplit_once('.') else { return false };
    let Some(stem) = stem.strip_prefix("temp-") else { return false };
    let pid = stem.rsplit('-').next().and_then(|digits| digits.parse().ok());
    let is_gone =
        |pid: u32| pid == std::process::id() || !Path::new("/proc").join(pid.to_string()).exists();
    pid.is_some_and(is_gone)
}

/// Where the log is and how it is written.
pub(super) fn log_options(settings: &Settings) -> aof::Options {
    let Aof { filename, dir, fsync, load_truncated, timestamps, keep_history, .. } = &settings.aof;
    aof::Options {
        dir: PathBuf::new(),
        folder: dir.to_string_lossy().into_owned(),
        name: filename.clone(),
        fsync: *fsync,
        load_truncated: *load_truncated,
        timestamps: *timestamps,
        keep_history: *keep_history,
        empty_base: Some(match settings.aof.rdb_preamble {
            true => save::empty(settings.rdb.checksum),
            false => Vec::new(),
        }),
    }
}

impl Process {
    pub(super) fn new(
        requests: mpsc::UnboundedSender<Request>,
        files: Files,
        sockets: Sockets,
        tls: Arc<Tls>,
        settings: &Settings,
    ) -> Self {
        let holds_replies = settings.aof.fsync == Fsync::Always;
        let mut oom_score = oom::OomScore::default();
        // It has said why not, and the data can be served all the same.
        let _ = oom_score.follow(settings.oom_score);
        let (log_delay, leave) = (Duration::ZERO, Leave::default());
        Self { requests, files, sockets, tls, holds_replies, log_delay, leave, oom_score }
    }

    fn target(&self, purpose: SnapshotPurpose, number: u64, settings: &Settings) -> Target {
        // One that was called off may still be there for a moment.
        let (temp, purpose, sync_as_written) = match purpose {
            SnapshotPurpose::Save => (
                temp_name(&format!("bg{number}-"), "rdb"),
                Purpose::Snapshot,
                settings.rdb.sync_as_written,
            ),
            SnapshotPurpose::AofBase => (
                temp_name(&format!("rewriteaof-bg{number}-"), "aof"),
                Purpose::Rewrite,
                settings.aof.sync_as_written,
            ),
        };
        let checksum = settings.rdb.checksum;
        Target {
            storage: Arc::clone(&self.files.storage),
            temp,
            purpose,
            checksum,
            sync_as_written,
        }
    }
}

impl Host for Process {
    fn rewrite_config(&mut self, config: &Config, scope: rewrite::Scope) -> Result<(), String> {
        rewrite::rewrite_file(config, scope)
    }

    fn apply(&mut self, effect: &Effect, config: &Config) -> Result<(), String> {
        let settings = config.settings();
        match effect {
            Effect::Listen => {
                self.listen(settings)?;
                title::show(|called| config.proc_title(called));
            }
            Effect::ListenTls => {
                self.tls.ensure(&settings.tls).map_err(|_| set::TLS_FAILED)?;
                self.listen(settings).map_err(|_| set::LISTEN_FAILED)?;
                title::show(|called| config.proc_title(called));
            }
            Effect::Title => title::show(|called| config.proc_title(called)),
            Effect::Tls => self.tls.configure(&settings.tls)?,
            Effect::MaxClients => {
                let possible = descriptors::make_room_for(settings.max_clients);
                if possible < settings.max_clients {
                    return Err(format!(
                        "The operating system is not able to handle the specified number of clients, try with {possible}"
                    ));
                }
            }
            Effect::Dir => {
                std::env::set_current_dir(&settings.dir).map_err(|e| load::reason(&e))?;
            }
            Effect::Log => log::configure(&settings.log),
            Effect::AppendOnly => self.follow_append_only(settings)?,
            Effect::LogWriting => self.follow_fsync(settings),
            Effect::OomScore => {
                let followed = self.oom_score.follow(settings.oom_score);
                followed.map_err(|_| set::OOM_SCORE_FAILED)?;
            }
        }
        Ok(())
    }

    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn exit(&mut self, status: u8) {
        let _ = self.requests.send(Request::Exit(status));
    }

    fn transfer(&mut self, transfer: Transfer) {
        let _ = self.requests.send(Request::Transfer(transfer));
    }

    fn discard(&mut self, garbage: Garbage) {
        // A small database is freed faster than a thread is woken.
        if !garbage.is_small() {
            tokio::task::spawn_blocking(move || alloc::at_leisure(move || drop(garbage)));
        }
    }

    fn process(&self) -> process::Process {
        process::read()
    }

    fn log(&mut self, units: &[u8]) -> Option<Durable> {
        let log = self.files.log();
        let log = log.as_ref()?;
        if !self.log_delay.is_zero() {
            std::thread::sleep(self.log_delay);
        }
        let offset = log.append(units);
        self.holds_replies.then(|| Durable { offset, log: Arc::clone(log) as Arc<dyn Durability> })
    }

    fn sleep_before_log(&mut self, time: Duration) {
        self.log_delay = time;
    }

    fn log_end(&self) -> Option<Durable> {
        let log = Arc::clone(self.files.log().as_ref()?);
        Some(Durable { offset: log.append(&[]), log })
    }

    fn log_status(&mut self) -> Option<LogStatus> {
        let status = self.files.log().as_ref()?.status();
        // `dir` is where the process is; the log's folder is in it.
        let free_bytes = self.files.storage.free_bytes(Path::new("."));
        Some(LogStatus {
            bytes: status.current_bytes,
            base_bytes: status.base_bytes,
            buffered: status.pending_bytes,
            sync_is_pending: status.unsynced_bytes > 0,
            delayed_syncs: status.delayed_fsyncs,
            error: status.error,
            is_out_of_room: status.is_out_of_room,
            free_bytes: free_bytes.ok(),
            is_full: status.is_full,
            has_base: !status.awaits_base,
        })
    }

    fn begin_snapshot(
        &mut self,
        task: SnapshotTask,
        settings: &Settings,
        options: Options,
    ) -> Result<Box<dyn SnapshotSink>, String> {
        let SnapshotTask { purpose, number } = task;
        let target = self.target(purpose, number, settings);
        self.leave = Leave::default();
        let leave = self.leave.clone();
        let storage = Arc::clone(&self.files.storage);
        let (temp, path) = (target.temp.clone(), settings.rdb.filename.clone());
        let as_commands =
            Target { temp: temp_name(&format!("rewriteaof{number}-"), "aof"), ..target.clone() };
        let wants_commands = !settings.aof.rdb_preamble;
        let requests = self.requests.clone();
        let log = self.files.log().clone();
        let log_options = log_options(settings);
        if let Some(log) = log.as_ref().filter(|_| purpose == SnapshotPurpose::AofBase) {
            log.rotate();
        }
        let finished = move |result: Result<(), String>| {
            let result = result.and_then(|()| {
                let adopt = |base: &Path| match log {
                    Some(log) => log.adopt_base(base),
                    None => aof::adopt_base_alone(&storage, &log_options, base),
                };
                let done = match purpose {
                    SnapshotPurpose::Save => leave.publish(&*storage, &temp, &path),
                    SnapshotPurpose::AofBase if wants_commands => {
                        as_log::convert(&temp, options, &as_commands)
                            .and_then(|()| storage.remove(&temp))
                            .and_then(|()| adopt(&as_commands.temp))
                    }
                    SnapshotPurpose::AofBase => adopt(&temp),
                };
                if done.is_err() {
                    // Of no use to anybody, and the disk may be full.
                    for temp in [&temp, &as_commands.temp] {
                        let _ = storage.remove(temp);
                    }
                }
                done.map_err(|error| error.to_string())
            });
            // The receiver lives as long as the process.
            let _ = requests.send(Request::Written(task, result));
        };
        save::in_background(target, Box::new(finished)).map_err(|error| error.to_string())
    }

    fn call_off_snapshot(&mut self) {
        self.leave.withdraw();
    }

    fn save(&mut self, data: &Data<'_>, settings: &Settings, now: Now) -> Result<(), String> {
        let temp = temp_name("", "rdb");
        let target =
            Target { temp: temp.clone(), ..self.target(SnapshotPurpose::Save, 0, settings) };
        save::write_all(target, data, settings, false, now)
            .and_then(|()| save::publish(&*self.files.storage, &temp, &settings.rdb.filename))
            .map_err(|error| error.to_string())
    }

    fn reload_rdb(&mut self, settings: &Settings, mode: LoadMode) -> Result<Reload, String> {
        let opened = self.files.storage.open(&settings.rdb.filename);
        let mut file = opened.map_err(|error| error.to_string())?;
        Ok(Box::new(move |engine| {
            let clock = Clock::start();
            let loaded = Loader::new(engine, &clock).rdb(&mut *file, mode, None);
            loaded.map(drop).map_err(|failure| failure.to_string())
        }))
    }

    fn reload_log(&mut self, settings: &Settings) -> Result<Reload, String> {
        let log = self.files.log().take();
        let was_open = log.is_some();
        if let Some(log) = log {
            log.close().map_err(|error| error.to_string())?;
        }
        let (files, options) = (self.files.clone(), log_options(settings));
        Ok(Box::new(move |engine| {
            let clock = Clock::start();
            let mut loader = Loader::new(engine, &clock);
            let opened = aof::open(Arc::clone(&files.storage), &options, &mut loader);
            let opened = opened.map_err(|fatal| fatal.to_string())?;
            if !was_open {
                return opened.log.close().map_err(|error| error.to_string());
            }
            files.open_log(opened.log);
            Ok(())
        }))
    }

    fn written(&self) -> Written {
        self.files.counters.now()
    }

    fn crash(&mut self) {
        std::process::abort();
    }

    fn certificates(&self) -> Certificates {
        self.tls.certificates()
    }

    fn wall_us(&self) -> i64 {
        crate::clock::wall_us()
    }
}

impl Process {
    fn listen(&mut self, settings: &Settings) -> Result<(), String> {
        let binding = self.sockets.bind(settings, &mut Inherited::default())?;
        // The receiver lives as long as the process.
        let _ = self.requests.send(Request::Listen(binding));
        Ok(())
    }

    fn follow_fsync(&mut self, settings: &Settings) {
        self.holds_replies = settings.aof.fsync == Fsync::Always;
        if let Some(log) = &*self.files.log() {
            log.set_policy(settings.aof.fsync);
            log.set_timestamps(settings.aof.timestamps);
            log.set_keep_history(settings.aof.keep_history);
        }
    }

    /// CONFIG SET appendonly.
    fn follow_append_only(&mut self, settings: &Settings) -> Result<(), String> {
        let is_open = self.files.log().is_some();
        if settings.aof.is_on && !is_open {
            let options = log_options(settings);
            let begun = aof::begin(Arc::clone(&self.files.storage), &options);
            let log = begun.map_err(|error| error.to_string())?;
            self.files.open_log(log);
        } else if !settings.aof.is_on {
            self.files.close_log();
        }
        self.follow_fsync(settings);
        Ok(())
    }
}

impl Durability for Log {
    fn reached(&self, offset: u64) -> bool {
        self.durable() >= offset
    }

    fn ring_at(&self, offset: u64, bell: &Arc<Bell>) {
        self.when_durable(offset, Arc::clone(bell));
    }
}
