//! The thread that writes the log: groups as they come, syncs as the policy says, and goes on trying
//! while the disk fails. It alone writes to the current increment.
//!
//! Everything written since the last sync is kept in memory: a sync that failed may have lost any of
//! it (the kernel forgets pages that it could not write), and so the file is cut back to what was
//! durable and written again.
//!
//! | the disk | what the thread does |
//! |---|---|
//! | works | writes, syncs |
//! | refused a write | cuts what was torn, writes the group again |
//! | refused a sync | cuts to what is durable, writes all since again |
//!
//! Each failure is followed by a pause, twice as long as the one before.
//!
//! A log that has filled its disk cannot write the groups before a rotation, and so never rotates. The
//! base of that rewrite has what those groups do: once it is there they need not be written
//! ([`leap`](Writer::leap)), and what they waited for is freed.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Fsync;
use super::files::{Begun, Files};
use super::gather::Gather;
use super::marks::{self, Proof};
use super::shared::{Group, Shared, Todo, WaitFor, Work, lock};
use crate::rdb::crc64::Crc64;
use crate::storage::{File, Purpose, Storage};

/// How often the thread looks for bytes by itself while there are some. So much is lost when the process
/// is killed; each look costs 10 µs.
pub(super) const WATCH: Duration = Duration::from_millis(3);
/// Looks in vain before it sleeps until it is woken.
const WATCHES: u32 = 20;
/// `appendfsync everysec`.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A sync that is later than this counts as delayed.
const SYNC_LATE: Duration = Duration::from_secs(2);
/// Bytes kept because they are not durable. Beyond it they are synced before their time.
const MAX_UNSYNCED_BYTES: u64 = 16 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    file: Box<dyn File>,
    path: PathBuf,
    /// How long the file was when it was opened.
    head_len: u64,
    todo: VecDeque<Todo>,
    /// What the file is known to have, and what of it is durable.
    written: Place,
    synced: Place,
    /// Groups between the two, without their marks.
    unsynced: VecDeque<Group>,
    condition: Condition,
    /// Some of what is not durable was not kept, and a sync failed: nothing in increments up to this
    /// one counts as durable any more.
    doubtful_up_to: Option<u64>,
    /// Time since the thread began.
    last_sync: Duration,
    unsynced_since: Option<Duration>,
    fruitless_looks: u32,
    gather: Gather,
    /// Clients that got their replies since it was last asked how long to wait for company, and how
    /// long the sync took that let them have them.
    answered: usize,
    sync_took: Duration,
}

/// A place in the file.
#[derive(Clone)]
struct Place {
    len: u64,
    crc: Crc64,
    /// The same in bytes ever appended.
    end: u64,
}

enum Condition {
    Works,
    /// There may be bytes behind what was written.
    Torn(Pause),
    /// What was written since the last sync may be lost.
    Lost(Pause),
    /// The file is as it should be; something else did not succeed.
    Refused(Pause),
}

/// When the disk is tried again.
#[derive(Clone, Copy)]
struct Pause {
    until: Duration,
    length: Duration,
}

impl Writer {
    pub(super) fn new(storage: Arc<dyn Storage>, begun: Begun) -> Self {
        let place = Place { len: begun.len, crc: begun.crc, end: 0 };
        Self {
            storage,
            file: begun.file,
            path: begun.path,
            head_len: begun.len,
            todo: VecDeque::new(),
            written: place.clone(),
            synced: place,
            unsynced: VecDeque::new(),
            condition: Condition::Works,
            doubtful_up_to: None,
            last_sync: Duration::ZERO,
            unsynced_since: None,
            fruitless_looks: 0,
            gather: Gather::default(),
            answered: 0,
            sync_took: Duration::ZERO,
        }
    }

    pub(super) fn run(mut self, shared: &Shared, files: &Mutex<Files>) {
        let began = Instant::now();
        let mut next = Some(WaitFor::Work(None));
        while let Some(wait) = next {
            next = self.turn(shared.work(&wait), shared, files, began.elapsed());
        }
    }

    /// Does what there is to do, and says what to wait for; `None`: this was the last turn. `now` is
    /// the time since the thread began.
    pub(super) fn turn(
        &mut self,
        work: Work,
        shared: &Shared,
        files: &Mutex<Files>,
        now: Duration,
    ) -> Option<WaitFor> {
        let came = !work.todo.is_empty();
        self.gather.learn(work.gathered);
        self.take(work.todo, shared, files);
        if let Some(temp) = &work.base {
            let outcome = self.leap(temp, shared, files, now);
            shared.has_leapt(outcome);
        }
        if let Some(pause) = self.condition.pause()
            && now < pause.until
            && !work.is_closing
        {
            return Some(WaitFor::Time(pause.until - now));
        }
        let policy = if work.is_closing { Fsync::Always } else { work.policy };
        let outcome = self.attempt(policy, work.sync_up_to, shared, files, now);
        self.tell(shared, &outcome);
        match outcome {
            _ if work.is_closing => None,
            Ok(()) => Some(self.next(policy, came, now)),
            Err(_) => {
                let pause = self.condition.pause().map_or(WATCH, |pause| pause.length);
                Some(WaitFor::Time(pause))
            }
        }
    }

    /// A rotation that was asked for makes earlier ones, which still wait, superfluous: their rewrites
    /// have failed.
    fn take(&mut self, todo: VecDeque<Todo>, shared: &Shared, files: &Mutex<Files>) {
        if todo.iter().any(|todo| matches!(todo, Todo::Rotate)) {
            let before = self.todo.len();
            self.todo.retain(|todo| !matches!(todo, Todo::Rotate));
            shared.have_rotated(before - self.todo.len(), &lock(files));
        }
        self.todo.extend(todo);
    }

    fn next(&mut self, policy: Fsync, came: bool, now: Duration) -> WaitFor {
        if policy == Fsync::Always {
            return self.gather.after_sync(std::mem::take(&mut self.answered), self.sync_took);
        }
        self.fruitless_looks = if came { 0 } else { self.fruitless_looks.saturating_add(1) };
        if self.fruitless_looks < WATCHES {
            return WaitFor::Source(WATCH);
        }
        let is_due = policy == Fsync::EverySec && self.has_unsynced();
        WaitFor::Work(is_due.then(|| (self.last_sync + SYNC_EVERY).saturating_sub(now)))
    }

    fn tell(&mut self, shared: &Shared, outcome: &io::Result<()>) {
        shared.note_sizes(self.written.len, self.written.len - self.synced.len);
        match outcome {
            Ok(()) if !matches!(self.condition, Condition::Works) => {
                self.condition = Condition::Works;
                crate::log::warning!("The append-only log can be written again");
                shared.has_recovered();
            }
            Ok(()) => {}
            Err(error) => {
                let in_sync = matches!(self.condition, Condition::Lost(_));
                if shared.fails(error, in_sync) {
                    let what = if in_sync { "syncing" } else { "writing" };
                    crate::log::warning!("Error {what} the append-only log: {error}");
                }
            }
        }
    }

    /// Writes and syncs everything that is due, in order, up to the first error.
    fn attempt(
        &mut self,
        policy: Fsync,
        sync_up_to: u64,
        shared: &Shared,
        files: &Mutex<Files>,
        now: Duration,
    ) -> io::Result<()> {
        let outcome = self.mend(shared, files).and_then(|()| {
            while let Some(todo) = self.todo.pop_front() {
                match todo {
                    Todo::Write(group) => self.write(group, policy, shared, files, now)?,
                    Todo::Rotate => self.rotate(shared, files, now)?,
                    Todo::RemoveHistory => remove_history(files),
                }
            }
            if self.is_sync_due(policy, sync_up_to, now) {
                self.sync(shared, files, now)?;
            }
            Ok(())
        });
        if outcome.is_err() {
            self.condition.pause_longer(now);
        }
        outcome
    }

    /// Makes the file again what it is known to be.
    fn mend(&mut self, shared: &Shared, files: &Mutex<Files>) -> io::Result<()> {
        if !matches!(self.condition, Condition::Works) {
            lock(files).settle()?;
        }
        let len = match self.condition {
            Condition::Works | Condition::Refused(_) => return Ok(()),
            Condition::Torn(_) => self.written.len,
            Condition::Lost(_) => self.synced.len,
        };
        if self.file.set_len(len).is_err() {
            self.file = self.storage.append(&self.path, Purpose::Log)?;
            self.file.set_len(len)?;
        }
        if let Condition::Lost(pause) = self.condition {
            shared.is_unwritten(self.written.end - self.synced.end);
            self.written = self.synced.clone();
            for group in self.unsynced.drain(..).rev() {
                self.todo.push_front(Todo::Write(group));
            }
            self.condition = Condition::Refused(pause);
        }
        Ok(())
    }

    fn write(
        &mut self,
        mut group: Group,
        policy: Fsync,
        shared: &Shared,
        files: &Mutex<Files>,
        now: Duration,
    ) -> io::Result<()> {
        let unmarked = group.bytes.len();
        let mut crc = self.written.crc.clone();
        crc.update(&group.bytes);
        let mark = Proof { len: self.written.len + unmarked as u64, crc: crc.value() }.mark();
        crc.update(mark.as_bytes());
        group.bytes.extend_from_slice(mark.as_bytes());
        let len = group.bytes.len() as u64;
        let written = self.has_room(len).and_then(|()| self.file.write_all(&group.bytes));
        group.bytes.truncate(unmarked);
        if let Err(error) = written {
            self.is_torn();
            self.todo.push_front(Todo::Write(group));
            return Err(error);
        }
        let bytes = group.end - self.written.end;
        self.written = Place { len: self.written.len + len, crc, end: group.end };
        shared.is_written(bytes, self.written.len);
        self.unsynced_since.get_or_insert(now);
        if policy == Fsync::No {
            shared.give_back(self.unsynced.drain(..).chain([group]).map(|group| group.bytes));
            return Ok(());
        }
        self.unsynced.push_back(group);
        if self.written.len - self.synced.len >= MAX_UNSYNCED_BYTES {
            self.sync(shared, files, now)?;
        }
        Ok(())
    }

    /// On a disk that was full a group is not tried in vain: for a moment it would take the room that a
    /// rewrite needs.
    fn has_room(&self, bytes: u64) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        match &self.condition {
            Condition::Works => Ok(()),
            _ if self.storage.free_bytes(dir).is_ok_and(|free| free < bytes) => {
                Err(rustix::io::Errno::NOSPC.into())
            }
            _ => Ok(()),
        }
    }

    /// What was written in part goes at once, if it can: on a full disk others need the room.
    fn is_torn(&mut self) {
        let is_cut = self.file.set_len(self.written.len).is_ok();
        self.condition.becomes(if is_cut { Condition::Refused } else { Condition::Torn });
    }

    fn has_unsynced(&self) -> bool {
        self.written.len != self.synced.len
    }

    fn is_sync_due(&self, policy: Fsync, sync_up_to: u64, now: Duration) -> bool {
        let is_time = match policy {
            Fsync::Always => true,
            Fsync::EverySec => now >= self.last_sync + SYNC_EVERY,
            Fsync::No => false,
        };
        self.has_unsynced() && (is_time || sync_up_to > self.synced.end)
    }

    fn sync(&mut self, shared: &Shared, files: &Mutex<Files>, now: Duration) -> io::Result<()> {
        let began = Instant::now();
        if let Err(error) = self.file.sync() {
            self.is_lost(files);
            return Err(error);
        }
        let took = began.elapsed();
        let is_late =
            self.unsynced_since.take().is_some_and(|since| now + took > since + SYNC_LATE);
        shared.note_sync(took, is_late);
        self.last_sync = now;
        self.sync_took = took;
        self.synced = self.written.clone();
        if !self.is_doubtful(files) {
            self.answered += shared.is_durable(self.synced.end);
        }
        shared.give_back(self.unsynced.drain(..).map(|group| group.bytes));
        Ok(())
    }

    /// A sync failed. What was kept is written again; where not everything was, what is lost stays
    /// lost, and nothing counts as durable before there is a new base.
    fn is_lost(&mut self, files: &Mutex<Files>) {
        if self.keeps_all() {
            self.condition.becomes(Condition::Lost);
        } else {
            self.doubtful_up_to = lock(files).current().map(|entry| entry.seq);
            self.condition.becomes(Condition::Refused);
        }
    }

    /// Whether every group since the last sync was kept.
    fn keeps_all(&self) -> bool {
        let mut len = self.synced.len;
        for group in &self.unsynced {
            len += group.bytes.len() as u64;
            len += Proof { len, crc: 0 }.mark().len() as u64;
        }
        len == self.written.len
    }

    fn is_doubtful(&mut self, files: &Mutex<Files>) -> bool {
        if let Some(seq) = self.doubtful_up_to {
            let is_history = |entry: &super::manifest::Entry| entry.seq > seq;
            if !lock(files).manifest().increments.first().is_some_and(is_history) {
                return true;
            }
            self.doubtful_up_to = None;
        }
        false
    }

    fn rotate(&mut self, shared: &Shared, files: &Mutex<Files>, now: Duration) -> io::Result<()> {
        let rotated = self.begin_next(shared, files, now);
        match rotated {
            Ok(()) => shared.have_rotated(1, &lock(files)),
            Err(_) => {
                self.condition.becomes(Condition::Refused);
                self.todo.push_front(Todo::Rotate);
            }
        }
        rotated
    }

    fn begin_next(
        &mut self,
        shared: &Shared,
        files: &Mutex<Files>,
        now: Duration,
    ) -> io::Result<()> {
        if self.has_unsynced() {
            self.sync(shared, files, now)?;
        }
        if self.written.len == self.head_len && lock(files).awaits_base() {
            // It was begun for this rewrite.
            lock(files).rewrites_before_current();
            return Ok(());
        }
        let after = Proof { len: self.written.len, crc: self.written.crc.value() };
        let begun = lock(files).begin_increment(Some(after), shared.timestamp(), true)?;
        self.begin_with(begun, self.written.end);
        Ok(())
    }
}

impl Writer {
    /// Makes `temp`, a base that has everything before the last rotation, the base of a new increment,
    /// without that rotation: what it waited for need not be written any more, and counts as durable.
    /// An error leaves the log as it was.
    pub(super) fn leap(
        &mut self,
        temp: &Path,
        shared: &Shared,
        files: &Mutex<Files>,
        now: Duration,
    ) -> io::Result<Leapt> {
        let Some(rotation) = self.todo.iter().rposition(|todo| matches!(todo, Todo::Rotate)) else {
            return Ok(Leapt::HadRotated);
        };
        lock(files).settle()?;
        let begun = lock(files).adopt_for_all(temp, shared.timestamp())?;
        let skipped: Vec<Todo> = self.todo.drain(..=rotation).collect();
        let end = skipped.iter().filter_map(Todo::end).max().unwrap_or(self.written.end);
        let bytes = end - self.written.end;
        self.begin_with(begun, end);
        shared.is_written(bytes, self.written.len);
        shared.give_back(self.unsynced.drain(..).map(|group| group.bytes));
        self.doubtful_up_to = None;
        if self.condition.pause().is_some() {
            self.condition = Condition::Refused(Pause { until: now, length: Duration::ZERO });
        }
        crate::log::notice!("The log's new base holds what could not be written");
        shared.is_durable(end);
        let rotations = skipped.iter().filter(|todo| matches!(todo, Todo::Rotate)).count();
        shared.have_rotated(rotations, &lock(files));
        self.state_files(shared, files, now);
        Ok(Leapt::Done)
    }

    fn begin_with(&mut self, begun: Begun, end: u64) {
        self.file = begun.file;
        self.path = begun.path;
        self.head_len = begun.len;
        self.written = Place { len: begun.len, crc: begun.crc, end };
        self.synced = self.written.clone();
    }

    /// The increment says which base it follows; then the old files go, and make room. Both are good
    /// to have, and neither is needed: the manifest is durable.
    fn state_files(&mut self, shared: &Shared, files: &Mutex<Files>, now: Duration) {
        let statement = marks::statement(lock(files).manifest());
        let bytes = [marks::GROUP.as_bytes(), &statement].concat();
        let group = Group { bytes, end: self.written.end };
        let _ = self
            .write(group, Fsync::Always, shared, files, now)
            .and_then(|()| self.sync(shared, files, now));
        if !shared.keeps_history() {
            remove_history(files);
        }
    }
}

/// What became of a base that was to be adopted for all.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leapt {
    Done,
    /// There is no rotation that waits: the base can be adopted as ever.
    HadRotated,
}

/// What cannot be removed now is removed with what the next base makes superfluous.
fn remove_history(files: &Mutex<Files>) {
    if let Err(error) = lock(files).remove_history() {
        crate::log::warning!("Can't remove the history files of the append-only log: {error}");
    }
}

impl Condition {
    fn pause(&self) -> Option<Pause> {
        match self {
            Self::Works => None,
            Self::Torn(pause) | Self::Lost(pause) | Self::Refused(pause) => Some(*pause),
        }
    }

    fn pause_mut(&mut self) -> Option<&mut Pause> {
        match self {
            Self::Works => None,
            Self::Torn(pause) | Self::Lost(pause) | Self::Refused(pause) => Some(pause),
        }
    }

    /// Something failed (again). What has to be mended is not forgotten for something that has not.
    fn becomes(&mut self, what: fn(Pause) -> Self) {
        let none = Pause { until: Duration::ZERO, length: Duration::ZERO };
        let next = what(self.pause().unwrap_or(none));
        let is_worse = |condition: &Self| match condition {
            Self::Works => 0,
            Self::Refused(_) => 1,
            Self::Torn(_) => 2,
            Self::Lost(_) => 3,
        };
        if is_worse(&next) > is_worse(self) {
            *self = next;
        }
    }

    fn pause_longer(&mut self, now: Duration) {
        self.becomes(Self::Refused);
        if let Some(pause) = self.pause_mut() {
            pause.length = (pause.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            pause.until = now + pause.length;
        }
    }
}
