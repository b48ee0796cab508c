//! How it stands with the data on disk: what runs, what is due, what went wrong. What is written, and
//! how, is the host's business.

mod room;

use std::ops::AddAssign;
use std::sync::Arc;

use super::{Data, Engine, LoadMode, PauseMode, SnapshotPurpose, SnapshotTask};
use crate::clock::Now;
use crate::config::Settings;
use crate::config::value::SavePoint;
use crate::error::{self, Error};
use crate::rdb::file::Counts;

/// After a save that failed, before the next is tried by itself, in milliseconds.
const RETRY_MS: i64 = 5_000;
/// Rewrites that fail in a row from which on the next one waits, twice as long each time.
const REWRITES_BEFORE_PAUSE: u32 = 3;
/// The longest such wait, in milliseconds.
const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// What was asked for cannot be done now; the log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow;

/// What a write hears when the log has become as long as `aof-max-size` allows.
const QUOTA_REACHED: &str = "aof-max-size is reached";

#[derive(Debug, Default)]
pub struct Persistence {
    /// The data is being read.
    pub loading: Option<Loading>,
    /// What was read.
    pub loaded: Loaded,
    /// What of it could not be read.
    pub damage: Damage,
    pub save: Work,
    pub rewrite: Work,
    /// When the data was last saved, in Unix seconds; until then, when the server started.
    pub saved_at_s: i64,
    /// [`Stats::dirty`](super::Stats) when that save began.
    saved_dirty: u64,
    /// Rewrites that failed in a row.
    pub failed_rewrites: u32,
    /// The log as it was when last looked at; `None` while there is none.
    pub log: Option<LogStatus>,
    /// What a write is answered while the disk does not take it.
    refusal: Option<Error>,
    holds_writes: bool,
    /// A snapshot keeps too much in memory of what changed since it began.
    pub(super) snapshot_holds_writes: bool,
    /// Bytes that may be logged before writes have to wait, or a rewrite is due.
    room: u64,
    room_on_disk: room::Room,
    /// How often the data was saved, or began to be: SAVE and in the background.
    pub saves: u64,
    /// Of the snapshots in the background.
    last_number: u64,
}

/// Data being read at start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loading {
    pub since_ms: i64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
    /// Memory in use when the file was written, as it says itself.
    pub used_memory: u64,
}

/// What had to be left out of damaged files at start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    pub bytes: u64,
    pub commands: u64,
    /// Files that it is kept in.
    pub files: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    pub keys: u64,
    /// Whose time was over.
    pub expired: u64,
    /// Without elements: some old servers wrote them by mistake.
    pub empty: u64,
    /// Hashes all of whose fields were over.
    pub hashes_expired: u64,
}

impl AddAssign for Loaded {
    fn add_assign(&mut self, other: Self) {
        self.keys += other.keys;
        self.expired += other.expired;
        self.empty += other.empty;
        self.hashes_expired += other.hashes_expired;
    }
}

impl From<Counts> for Loaded {
    fn from(counts: Counts) -> Self {
        Self {
            keys: counts.keys,
            expired: counts.due,
            empty: counts.empty,
            hashes_expired: counts.hashes_due,
        }
    }
}

/// Saving, or writing the log anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Begins when what runs now is over.
    pub is_scheduled: bool,
    pub running: Option<Running>,
    /// How long the last one in the background took, in seconds.
    pub took_s: Option<i64>,
    /// The last one did not succeed.
    pub failed: bool,
    /// How often it began.
    pub started: u64,
    tried_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub since_ms: i64,
    number: u64,
    dirty: u64,
}

/// The log, as whoever writes it tells.
#[derive(Clone, Debug, Default)]
pub struct LogStatus {
    /// Bytes of all its files.
    pub bytes: u64,
    /// The same when it was last written anew.
    pub base_bytes: u64,
    /// Bytes that are not written yet.
    pub buffered: u64,
    /// Bytes are written that are not synced yet.
    pub sync_is_pending: bool,
    /// Syncs that took so long that the next was late.
    pub delayed_syncs: u64,
    /// Why nothing can be written.
    pub error: Option<String>,
    /// It is that the disk is full.
    pub is_out_of_room: bool,
    /// Bytes that the disk has left, where it tells.
    pub free_bytes: Option<u64>,
    /// So much waits to be written that writes have to wait.
    pub is_full: bool,
    /// There is a base that a start would load; a log begun while the server runs has none at first.
    pub has_base: bool,
}

impl LogStatus {
    /// Whether it is time for a rewrite lest the log outgrow `max_bytes`: while log and new base still
    /// fit both, and only if the log has grown enough since the last one to be worth it.
    fn nears(&self, max_bytes: u64) -> bool {
        let (both, grown) =
            (self.bytes + self.base_bytes, self.bytes - self.base_bytes.min(self.bytes));
        max_bytes > 0 && both >= max_bytes / 10 * 9 && grown >= max_bytes / 10
    }

    fn exceeds(&self, max_bytes: u64) -> bool {
        max_bytes > 0 && self.bytes + self.buffered >= max_bytes
    }
}

impl Work {
    /// What ran in the background is over.
    fn end(&mut self, now: Now) -> Option<Running> {
        let running = self.running.take()?;
        self.took_s = Some((now.ms() - running.since_ms) / 1000);
        Some(running)
    }
}

impl Persistence {
    pub fn new(now: Now) -> Self {
        // Redis, too, counts from the start until it has saved once.
        Self { saved_at_s: now.unix_ms() / 1000, room: u64::MAX, ..Self::default() }
    }

    /// Changes since the data was last saved.
    pub fn unsaved(&self, dirty: u64) -> u64 {
        dirty.saturating_sub(self.saved_dirty)
    }

    /// The data is as it is on disk: after a start, or a reload.
    pub fn is_saved(&mut self, dirty: u64) {
        self.saved_dirty = dirty;
    }

    /// What a write, or PING, is answered while the disk does not take it.
    #[inline]
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// Whether writes have to wait because so much waits to be written, to the log or to a snapshot.
    #[inline]
    pub(super) fn holds_writes(&self) -> Option<PauseMode> {
        (self.holds_writes || self.snapshot_holds_writes).then_some(PauseMode::Write)
    }

    fn work(&mut self, purpose: SnapshotPurpose) -> &mut Work {
        match purpose {
            SnapshotPurpose::Save => &mut self.save,
            SnapshotPurpose::AofBase => &mut self.rewrite,
        }
    }

    /// What is being written in the background.
    pub fn runs(&self) -> Option<SnapshotPurpose> {
        match (&self.save.running, &self.rewrite.running) {
            (Some(_), _) => Some(SnapshotPurpose::Save),
            (_, Some(_)) => Some(SnapshotPurpose::AofBase),
            _ => None,
        }
    }

    /// A save that failed has writes refused, where it is configured so; as does a log that cannot be
    /// written.
    fn update_refusal(&mut self, settings: &Settings) {
        let rdb = &settings.rdb;
        let stops = rdb.stop_writes_on_error && !rdb.save.is_empty();
        let log_error = self.log.as_ref().and_then(|log| match &log.error {
            Some(reason) => Some(reason.as_str()),
            None => {
                (self.is_at_limit(settings) && !self.can_shrink(settings)).then_some(QUOTA_REACHED)
            }
        });
        self.refusal = if stops && self.save.failed {
            Some(error::MISCONF_RDB)
        } else {
            log_error.map(error::misconf_aof)
        };
    }

    pub(super) fn hold_writes(&mut self) {
        self.holds_writes = true;
    }

    /// Whether so much is logged now that somebody has to look what is to be done.
    #[inline]
    pub(super) fn count_logged(&mut self, bytes: u64) -> bool {
        let is_too_much = self.is_too_much(bytes);
        self.room = self.room.saturating_sub(bytes);
        is_too_much
    }

    #[inline]
    pub(super) fn is_too_much(&self, bytes: u64) -> bool {
        bytes > self.room
    }

    fn update_holds(&mut self, settings: &Settings) {
        let (max, log) = (settings.aof.max_bytes, self.log.as_ref());
        let quota = match log {
            Some(log) if max > 0 => max.saturating_sub(log.bytes + log.buffered),
            _ => u64::MAX,
        };
        let is_full = log.is_some_and(|log| log.is_full);
        let waits_for_rewrite = self.rewrite.running.is_some() && self.is_out_of_spare_room();
        self.room = quota.min(self.room_unwatched());
        self.holds_writes =
            is_full || waits_for_rewrite || self.is_at_limit(settings) && self.can_shrink(settings);
    }

    /// Whether the log has become as long as it may.
    fn is_at_limit(&self, settings: &Settings) -> bool {
        self.log.as_ref().is_some_and(|log| log.exceeds(settings.aof.max_bytes))
    }

    /// Whether a rewrite makes the log shorter soon.
    fn can_shrink(&self, settings: &Settings) -> bool {
        let nears = self.log.as_ref().is_some_and(|log| log.nears(settings.aof.max_bytes));
        self.rewrite.running.is_some() || nears && !self.rewrite.failed
    }

    /// The save point that asks for a save now.
    fn due_save(&self, settings: &Settings, dirty: u64, now: Now) -> Option<SavePoint> {
        let (unsaved, now_ms) = (self.unsaved(dirty), now.ms());
        let waits = self.save.failed && now_ms - self.save.tried_ms < RETRY_MS;
        let since_s = now.unix_ms() / 1000 - self.saved_at_s;
        let is_due = |point: &&SavePoint| {
            i64::try_from(unsaved).is_ok_and(|unsaved| unsaved >= point.changes)
                && since_s > point.seconds
                && !waits
        };
        settings.rdb.save.iter().find(is_due).copied()
    }

    /// Whether the log has grown enough to be written anew: by what percentage.
    fn due_rewrite(&self, settings: &Settings, now: Now) -> Option<u64> {
        let (aof, log) = (&settings.aof, self.log.as_ref()?);
        let growth = (log.bytes * 100 / log.base_bytes.max(1)).saturating_sub(100);
        let by_ratio = aof.rewrite_percentage > 0
            && log.bytes >= aof.rewrite_min_bytes
            && growth >= aof.rewrite_percentage;
        let waits = now.ms() - self.rewrite.tried_ms < self.pause_ms();
        let is_due = (by_ratio || log.nears(aof.max_bytes)) && !waits;
        (is_due || self.is_rewrite_due_for_room(now)).then_some(growth)
    }

    /// After rewrites that failed one after another.
    fn pause_ms(&self) -> i64 {
        match self.failed_rewrites.checked_sub(REWRITES_BEFORE_PAUSE) {
            None => 0,
            Some(more) => (60_000 << more.min(6)).min(LONGEST_PAUSE_MS),
        }
    }
}

impl Engine {
    /// Begins to save in the background, or to write the log anew.
    pub(crate) fn start_snapshot(
        &mut self,
        purpose: SnapshotPurpose,
        now: Now,
    ) -> Result<(), NotNow> {
        let dirty = self.stats.dirty;
        let work = self.persistence.work(purpose);
        work.is_scheduled = false;
        work.tried_ms = now.ms();
        if purpose == SnapshotPurpose::AofBase {
            self.persistence.note_room_at_rewrite();
            // What follows belongs to a log that begins with this snapshot.
            self.hand_over_journal();
            self.journal.forget_db();
        }
        let options = self.load_options(LoadMode { keeps_due: true, ..LoadMode::default() }, now);
        let number = self.persistence.last_number + 1;
        self.persistence.last_number = number;
        let task = SnapshotTask { purpose, number };
        let Self { host, config, .. } = &mut *self;
        let begun = match host.begin_snapshot(task, config.settings(), options) {
            Ok(sink) => self.begin_snapshot(purpose, sink, now).map_err(|_| "busy".to_owned()),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = begun {
            crate::log::warning!("Can't write in the background: {reason}");
            self.note_failure(purpose, now);
            return Err(NotNow);
        }
        let work = self.persistence.work(purpose);
        work.running = Some(Running { since_ms: now.ms(), number, dirty });
        work.started += 1;
        match purpose {
            SnapshotPurpose::Save => self.persistence.saves += 1,
            SnapshotPurpose::AofBase => self.refresh_log_status(),
        }
        self.wake_cron_before(now.ms());
        Ok(())
    }

    fn note_failure(&mut self, purpose: SnapshotPurpose, now: Now) {
        let work = self.persistence.work(purpose);
        work.end(now);
        work.failed = true;
        if purpose == SnapshotPurpose::AofBase {
            self.persistence.failed_rewrites += 1;
            self.persistence.room_on_disk.base_was_written(None);
        }
        self.persistence.update_refusal(self.config.settings());
    }

    /// The file of a snapshot is where it belongs, or will never be.
    pub fn snapshot_is_written(
        &mut self,
        SnapshotTask { purpose, number }: SnapshotTask,
        result: Result<(), String>,
        now: Now,
    ) {
        let running = self.persistence.work(purpose).running;
        if running.is_none_or(|running| running.number != number) {
            return;
        }
        match (result, purpose) {
            (Err(reason), _) => {
                crate::log::warning!("{} error: {reason}", purpose.name());
                self.note_failure(purpose, now);
            }
            (Ok(()), SnapshotPurpose::Save) => {
                crate::log::notice!("Background saving terminated with success");
                let running = self.persistence.save.end(now);
                self.note_save(running.map_or(self.stats.dirty, |running| running.dirty), now);
            }
            (Ok(()), SnapshotPurpose::AofBase) => {
                crate::log::notice!("Background AOF rewrite finished successfully");
                self.persistence.rewrite.end(now);
                self.persistence.rewrite.failed = false;
                self.persistence.failed_rewrites = 0;
                let log = self.host.log_status();
                self.persistence.room_on_disk.base_was_written(log.map(|log| log.base_bytes));
            }
        }
        self.refresh_log_status();
    }

    /// From here on what changes is logged.
    pub fn log_is_open(&mut self) {
        self.journal.start();
        self.refresh_log_status();
    }

    fn refresh_log_status(&mut self) {
        let status = self.host.log_status();
        let (data_bytes, progress) = (self.keyspace.used_bytes() as u64, self.snapshot_progress());
        let held = self.persistence.holds_writes;
        let settings = self.config.settings();
        self.persistence.log = status;
        self.persistence.note_room(data_bytes, progress);
        self.persistence.update_holds(settings);
        self.persistence.update_refusal(settings);
        if held && !self.persistence.holds_writes {
            self.wake_paused();
        }
    }

    /// The data is on disk as it was when it had changed `dirty` times.
    fn note_save(&mut self, dirty: u64, now: Now) {
        self.persistence.save.failed = false;
        self.persistence.saved_dirty = dirty;
        self.persistence.saved_at_s = now.unix_ms() / 1000;
        self.persistence.update_refusal(self.config.settings());
    }

    /// Saves while everybody waits: SAVE, SHUTDOWN.
    pub(crate) fn save_now(&mut self, now: Now) -> Result<(), String> {
        let used_memory = self.used_memory();
        let Self { host, keyspace, functions, config, .. } = &mut *self;
        let result = host.save(&Data { keyspace, functions, used_memory }, config.settings(), now);
        if let Err(reason) = &result {
            crate::log::warning!("Error saving DB on disk: {reason}");
        }
        // Whoever asked hears of a failure; writes are refused for those that nobody hears of.
        if result.is_ok() {
            self.note_save(self.stats.dirty, now);
        }
        result
    }

    /// Ends a background save: BGSAVE CANCEL, FLUSHALL, SHUTDOWN.
    pub(crate) fn stop_save(&mut self, now: Now) {
        if self.persistence.save.running.is_some() {
            self.host.call_off_snapshot();
            self.cancel_snapshot();
            // Called off, which is no failure that writes are refused for.
            self.persistence.save.end(now);
        }
    }

    /// Does what is to be done before the end. `save`: as SHUTDOWN says, or else as configured. An
    /// error calls the end off, unless that is forced.
    pub fn shut_down(&mut self, save: Option<bool>, force: bool, now: Now) -> Result<(), NotNow> {
        if self.persistence.loading.is_some() {
            // What is on disk is more than what is loaded so far.
            return Ok(());
        }
        let wanted = save.unwrap_or(!self.config.settings().rdb.save.is_empty());
        if self.persistence.save.running.is_some() {
            crate::log::warning!("There is a background save. Ending it!");
            self.stop_save(now);
        }
        let has_base = self.persistence.log.as_ref().is_none_or(|log| log.has_base);
        if !has_base {
            crate::log::warning!("Writing initial AOF, can't exit.");
            if !force {
                return Err(NotNow);
            }
        }
        self.hand_over_journal();
        // The log may come no more for what others still do.
        self.log_comes = Arc::default();
        if !wanted {
            return Ok(());
        }
        crate::log::notice!("Saving the final RDB snapshot before exiting.");
        match self.save_now(now) {
            Err(_) if !force => {
                crate::log::warning!("Error trying to save the DB, can't exit.");
                Err(NotNow)
            }
            _ => Ok(()),
        }
    }

    /// CONFIG SET appendonly: a log that begins needs the data that is there already.
    pub(crate) fn follow_append_only(&mut self, now: Now) {
        let wanted = self.config.settings().aof.is_on;
        if wanted == self.journal.is_on() || self.persistence.loading.is_some() {
            return;
        }
        self.refresh_log_status();
        if !wanted {
            self.journal.stop();
            if self.persistence.rewrite.running.is_some() {
                crate::log::notice!("Killing append only file rewrite");
                self.host.call_off_snapshot();
                self.cancel_snapshot();
                self.persistence.rewrite.end(now);
            }
            self.persistence.rewrite.is_scheduled = false;
            return;
        }
        self.journal.start();
        self.persistence.rewrite.is_scheduled = true;
        if self.persistence.runs().is_none() {
            let _ = self.start_snapshot(SnapshotPurpose::AofBase, now);
        }
    }

    /// FLUSHALL: what is being saved is worth nothing any more, and what was saved must not come back.
    pub(crate) fn follow_flush(&mut self, now: Now) {
        if self.is_replaying() {
            return;
        }
        if self.persistence.save.running.is_some() {
            self.stop_save(now);
        }
        if !self.config.settings().rdb.save.is_empty() {
            // As Redis: an error is in the log.
            let _ = self.save_now(now);
        }
    }

    /// What is due, ten times a second.
    pub(super) fn look_after_persistence(&mut self, now: Now) {
        self.refresh_log_status();
        if self.persistence.loading.is_some() || self.persistence.runs().is_some() {
            return;
        }
        let settings = self.config.settings();
        let (scheduled_rewrite, scheduled_save) =
            (self.persistence.rewrite.is_scheduled, self.persistence.save.is_scheduled);
        if scheduled_rewrite {
            let _ = self.start_snapshot(SnapshotPurpose::AofBase, now);
        } else if let Some(SavePoint { changes, seconds }) =
            self.persistence.due_save(settings, self.stats.dirty, now)
        {
            crate::log::notice!("{changes} changes in {seconds} seconds. Saving...");
            let _ = self.start_snapshot(SnapshotPurpose::Save, now);
        } else if let Some(growth) = self.persistence.due_rewrite(settings, now) {
            crate::log::notice!("Starting automatic rewriting of AOF on {growth}% growth");
            let _ = self.start_snapshot(SnapshotPurpose::AofBase, now);
        } else if scheduled_save {
            let _ = self.start_snapshot(SnapshotPurpose::Save, now);
        }
    }
}
