//! What the engine's handle of the log and the thread behind it share: work to be done, and how it
//! went. Nobody holds its lock while anything is written.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::files::{Files, Sizes};
use super::log::Status;
use super::marks;
use super::writer::{Leapt, WATCH};
use super::{Fsync, Options, Source};
use crate::clock;
use crate::config::load::reason;
use crate::engine::Bell;

/// Bytes that may wait to be written. Beyond it [`is_full`](Shared::is_full) holds and the engine lets writes
/// wait: a disk that is too slow must not cost all memory.
const MAX_PENDING_BYTES: u64 = 64 << 20;
/// A group is closed at this size, so that a mark is never far.
const GROUP_BYTES: usize = 1 << 20;
/// Buffers kept for the next groups.
const SPARE_BUFFERS: usize = 4;
/// A buffer larger than this is not kept.
const SPARE_BYTES: usize = 2 * GROUP_BYTES;
/// More batches than there are: the thread is not woken for bytes.
const NEVER: usize = usize::MAX;
/// How long a thread without work sleeps: for ever, but that a lost wake-up is found one day.
const LONG: Duration = Duration::from_secs(3600);

/// What handle and thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Tells the thread that there is something to do.
    work: Condvar,
    /// Tells those who wait for the thread that something was done.
    done: Condvar,
    durable: AtomicU64,
    /// Rings for all who wait, where there is somebody to hear it.
    herald: OnceLock<Arc<Bell>>,
    /// Where bytes gather that the thread comes for.
    source: OnceLock<Arc<dyn Source>>,
    pending_bytes: AtomicU64,
    is_failing: AtomicBool,
    keep_history: AtomicBool,
}

pub(super) struct State {
    todo: VecDeque<Todo>,
    /// Empty buffers of groups that are written.
    spare: Vec<Vec<u8>>,
    /// Bytes ever appended.
    appended: u64,
    waiters: Vec<(u64, Arc<Bell>)>,
    policy: Fsync,
    timestamps: bool,
    /// Unix time of the last `#TS:` line, in seconds.
    last_timestamp: i64,
    /// Calls of `append` since the thread last took its work.
    batches: usize,
    /// How many of them came before the last sync was over.
    batches_during_sync: usize,
    /// Whether bytes may gather at the source.
    is_source_watched: bool,
    /// At how many of them the thread, which sleeps, is woken.
    wake_at: usize,
    /// Everything up to here is to be synced at once, whatever the policy.
    sync_up_to: u64,
    rotations_asked: u64,
    rotations_done: u64,
    is_closing: bool,
    /// A base that is to be adopted although a rotation waits, and what became of the last.
    base: Option<PathBuf>,
    leapt: Option<io::Result<Leapt>>,
    /// The part of it that is not known otherwise.
    status: Status,
    sizes: Sizes,
    /// Bytes of the increment being written.
    increment_bytes: u64,
}

/// What the thread does, in this order.
pub(super) enum Todo {
    Write(Group),
    Rotate,
    /// What was kept of it is not to be kept any more.
    RemoveHistory,
}

/// What is written at once and followed by a mark.
pub(super) struct Group {
    /// Its opening line and whole units, later its mark.
    pub(super) bytes: Vec<u8>,
    /// Bytes ever appended at its end.
    pub(super) end: u64,
}

impl Todo {
    /// Bytes ever appended once it is done.
    pub(super) fn end(&self) -> Option<u64> {
        match self {
            Self::Write(group) => Some(group.end),
            Self::Rotate | Self::RemoveHistory => None,
        }
    }
}

/// What the thread waits for. What is urgent ends each of these.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WaitFor {
    /// Until there is something to do, so long at most.
    Work(Option<Duration>),
    /// For this time, and nobody spends a system call to wake it for bytes that come meanwhile.
    Time(Duration),
    /// The same, and then for what has gathered at the [`Source`].
    Source(Duration),
    /// Until as many batches have come as so many clients send, so long at most; then for work.
    Company { clients: usize, at_most: Duration },
}

/// What the thread finds when it looks for work.
pub(super) struct Work {
    pub(super) todo: VecDeque<Todo>,
    pub(super) policy: Fsync,
    pub(super) sync_up_to: u64,
    pub(super) is_closing: bool,
    pub(super) base: Option<PathBuf>,
    /// Batches that came after the sync for whose clients the wait was.
    pub(super) gathered: usize,
}

impl State {
    fn take(&mut self) -> Work {
        self.batches = 0;
        self.batches_during_sync = 0;
        Work {
            todo: std::mem::take(&mut self.todo),
            policy: self.policy,
            sync_up_to: self.sync_up_to,
            is_closing: self.is_closing,
            base: self.base.take(),
            gathered: 0,
        }
    }

    /// Adds to the open group, or begins one.
    fn add(&mut self, units: &[u8]) {
        self.appended += units.len() as u64;
        let end = self.appended;
        if let Some(Todo::Write(group)) = self.todo.back_mut()
            && group.bytes.len() < GROUP_BYTES
        {
            group.bytes.extend_from_slice(units);
            group.end = end;
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(marks::GROUP.as_bytes());
        if self.timestamps {
            self.add_timestamp(&mut bytes);
        }
        bytes.extend_from_slice(units);
        self.todo.push_back(Todo::Write(Group { bytes, end }));
    }

    fn add_timestamp(&mut self, bytes: &mut Vec<u8>) {
        let now = clock::wall_us() / 1_000_000;
        if now > self.last_timestamp {
            self.last_timestamp = now;
            bytes.extend_from_slice(marks::timestamp(now).as_bytes());
        }
    }
}

impl Shared {
    pub(super) fn new(options: &Options) -> Self {
        let state = State {
            todo: VecDeque::new(),
            spare: Vec::new(),
            appended: 0,
            waiters: Vec::new(),
            policy: options.fsync,
            timestamps: options.timestamps,
            last_timestamp: 0,
            batches: 0,
            batches_during_sync: 0,
            is_source_watched: false,
            wake_at: NEVER,
            sync_up_to: 0,
            rotations_asked: 0,
            rotations_done: 0,
            is_closing: false,
            base: None,
            leapt: None,
            status: Status::default(),
            sizes: Sizes::default(),
            increment_bytes: 0,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            durable: AtomicU64::new(0),
            herald: OnceLock::new(),
            source: OnceLock::new(),
            pending_bytes: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            keep_history: AtomicBool::new(options.keep_history),
        }
    }

    pub(super) fn append(&self, units: &[u8]) -> u64 {
        let mut state = self.state();
        if !units.is_empty() && !state.is_closing {
            state.add(units);
            self.pending_bytes.fetch_add(units.len() as u64, Ordering::Relaxed);
            state.batches += 1;
            if state.batches >= state.wake_at {
                self.wake_now(&mut state);
            }
        }
        state.appended
    }

    /// What is to be durable at once, whatever the policy.
    pub(super) fn append_and_sync(&self, units: &[u8]) -> u64 {
        let end = self.append(units);
        let mut state = self.state();
        state.sync_up_to = end;
        self.wake_now(&mut state);
        end
    }

    pub(super) fn rotate(&self) {
        let mut state = self.state();
        state.todo.push_back(Todo::Rotate);
        state.rotations_asked += 1;
        self.wake_now(&mut state);
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn when_durable(&self, offset: u64, bell: Arc<Bell>) {
        let mut state = self.state();
        if self.durable() < offset {
            state.waiters.push((offset, bell));
            return;
        }
        drop(state);
        bell.ring();
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending_bytes.load(Ordering::Relaxed) >= MAX_PENDING_BYTES
    }

    pub(super) fn set_policy(&self, policy: Fsync) {
        let mut state = self.state();
        state.policy = policy;
        self.watch(&mut state, false);
        self.wake_now(&mut state);
    }

    pub(super) fn set_timestamps(&self, are_on: bool) {
        self.state().timestamps = are_on;
    }

    pub(super) fn set_keep_history(&self, keep: bool) {
        let kept = self.keep_history.swap(keep, Ordering::Relaxed);
        if kept && !keep {
            let mut state = self.state();
            state.todo.push_back(Todo::RemoveHistory);
            self.wake_now(&mut state);
        }
    }

    pub(super) fn keeps_history(&self) -> bool {
        self.keep_history.load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        Status {
            base_bytes: state.sizes.base,
            current_bytes: state.sizes.base + state.sizes.earlier + state.increment_bytes,
            pending_bytes: self.pending_bytes.load(Ordering::Relaxed),
            is_full: self.is_full(),
            appended: state.appended,
            durable: self.durable(),
            ..state.status.clone()
        }
    }

    /// The thread is to end.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        self.watch(&mut state, false);
        self.wake_now(&mut state);
    }

    /// Whether everything was durable when the thread ended.
    pub(super) fn closed(&self) -> io::Result<()> {
        let state = self.state();
        match &state.status.error {
            Some(text) if self.durable() < state.appended => Err(io::Error::other(text.clone())),
            _ => Ok(()),
        }
    }

    /// Waits until the current increment is the last that was asked for.
    pub(super) fn wait_for_rotations(&self, patience: Duration) -> io::Result<()> {
        let state = self.wait(patience, |state| state.rotations_done == state.rotations_asked);
        if state.rotations_done == state.rotations_asked {
            return Ok(());
        }
        let text = state.status.error.clone();
        let text = text.unwrap_or_else(|| "the log could not begin a new file in time".to_owned());
        Err(io::Error::other(text))
    }

    /// Has the thread adopt a base although the rotation before it waits for a disk that fails, and
    /// waits for what becomes of it.
    pub(super) fn leap(&self, base: &Path, patience: Duration) -> io::Result<Leapt> {
        self.ask_for_leap(base);
        let waits = |state: &mut State| state.leapt.is_none() && !state.is_closing;
        let waited = self.done.wait_timeout_while(self.state(), patience, waits);
        self.answer_to_leap(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn ask_for_leap(&self, base: &Path) {
        let mut state = self.state();
        state.leapt = None;
        state.base = Some(base.to_owned());
        self.wake_now(&mut state);
    }

    fn answer_to_leap(&self, state: &mut State) -> io::Result<Leapt> {
        // Once the base is taken, it is the thread's.
        let is_taken = state.base.take().is_none();
        match state.leapt.take() {
            Some(outcome) => outcome,
            None if is_taken => Err(io::Error::other("the log did not answer in time")),
            None => Err(io::Error::other("the log ends")),
        }
    }

    /// As [`leap`](Self::leap), with the thread's turn in place of waiting for it.
    #[cfg(test)]
    pub(super) fn leap_now(&self, base: &Path, turn: impl FnOnce()) -> io::Result<Leapt> {
        self.ask_for_leap(base);
        turn();
        self.answer_to_leap(&mut self.state())
    }

    pub(super) fn has_leapt(&self, outcome: io::Result<Leapt>) {
        self.state().leapt = Some(outcome);
        self.done.notify_all();
    }

    /// Waits until `offset` is durable; whether it is.
    pub(super) fn wait_until_durable(&self, offset: u64, patience: Duration) -> bool {
        drop(self.wait(patience, |_| self.durable() >= offset));
        self.durable() >= offset
    }

    /// Waits while the thread works and the disk does not fail.
    fn wait(&self, patience: Duration, is_done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waits = |state: &mut State| !is_done(state) && !self.is_failing() && !state.is_closing;
        let waited = self.done.wait_timeout_while(self.state(), patience, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wake_now(&self, state: &mut State) {
        state.wake_at = NEVER;
        self.work.notify_one();
    }

    /// The work there is, once the wait is over.
    pub(super) fn work(&self, wait: &WaitFor) -> Work {
        let mut state = self.state();
        let mut gathered = 0;
        let mut patience = LONG;
        match *wait {
            WaitFor::Time(time) => state = self.sleep(state, NEVER, time),
            WaitFor::Source(time) => {
                self.watch(&mut state, true);
                drop(self.sleep(state, NEVER, time));
                self.fetch();
                state = self.state();
            }
            WaitFor::Work(at_most) => {
                patience = at_most.unwrap_or(LONG);
                if state.is_source_watched {
                    self.watch(&mut state, false);
                    drop(state);
                    let has_all = self.fetch();
                    state = self.state();
                    if !has_all {
                        // What is there would wait for long.
                        state.is_source_watched = true;
                        patience = WATCH;
                    }
                }
            }
            WaitFor::Company { clients, at_most } => {
                let wake_at = state.batches_during_sync + clients;
                let is_urgent = state.is_closing || state.base.is_some();
                if state.batches < wake_at && !is_urgent {
                    state = self.sleep(state, wake_at, at_most);
                }
                gathered = state.batches - state.batches_during_sync;
            }
        }
        let has_nothing = state.todo.is_empty() && !state.is_closing && state.base.is_none();
        if has_nothing && !matches!(wait, WaitFor::Time(_) | WaitFor::Source(_)) {
            state = self.sleep(state, 1, patience);
        }
        Work { gathered, ..state.take() }
    }

    /// Tells the source whether the thread will come for what gathers there.
    fn watch(&self, state: &mut State, comes: bool) {
        if let Some(source) = self.source.get() {
            state.is_source_watched = comes && state.policy != Fsync::Always && !state.is_closing;
            source.watch(state.is_source_watched);
        }
    }

    /// Has the source append what gathered there; whether nothing is left of it.
    fn fetch(&self) -> bool {
        self.source.get().is_none_or(|source| source.hand_over())
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        wake_at: usize,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        state.wake_at = wake_at;
        let woken = self.work.wait_timeout(state, at_most);
        state = woken.unwrap_or_else(PoisonError::into_inner).0;
        state.wake_at = NEVER;
        state
    }

    /// The work there is, if any.
    #[cfg(test)]
    pub(super) fn work_now(&self) -> Work {
        self.state().take()
    }

    /// A group is written, into a file that has `file_bytes` with it: its bytes wait no more. At no
    /// moment are they in neither count: how long the log is decides whether a small disk is full soon.
    pub(super) fn is_written(&self, bytes: u64, file_bytes: u64) {
        self.state().increment_bytes = file_bytes;
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What was written has to be written again.
    pub(super) fn is_unwritten(&self, bytes: u64) {
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Buffers of groups that are durable, for others.
    pub(super) fn give_back(&self, buffers: impl Iterator<Item = Vec<u8>>) {
        let mut state = self.state();
        for mut buffer in buffers {
            if state.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
                buffer.clear();
                state.spare.push(buffer);
            }
        }
    }

    /// Everything up to `offset` is durable. So many waited for it.
    pub(super) fn is_durable(&self, offset: u64) -> usize {
        self.durable.store(offset, Ordering::Release);
        let mut state = self.state();
        let reached = state.waiters.iter().filter(|waiter| waiter.0 <= offset).count();
        state.batches_during_sync = state.batches;
        drop(state);
        self.done.notify_all();
        self.announce();
        reached
    }

    pub(super) fn announce_through(&self, herald: Arc<Bell>) {
        let _ = self.herald.set(herald);
    }

    pub(super) fn come_for(&self, source: Arc<dyn Source>) {
        let _ = self.source.set(source);
    }

    pub(super) fn announce(&self) {
        match self.herald.get() {
            Some(herald) => herald.ring(),
            None => self.ring_reached(),
        }
    }

    /// Rings for all whose offset is durable.
    pub(super) fn ring_reached(&self) {
        let durable = self.durable();
        let mut state = self.state();
        let reached = state.waiters.extract_if(.., |waiter| waiter.0 <= durable);
        let rung: Vec<(u64, Arc<Bell>)> = reached.collect();
        drop(state);
        rung.iter().for_each(|waiter| waiter.1.ring());
    }

    pub(super) fn have_rotated(&self, rotations: usize, files: &Files) {
        self.state().rotations_done += rotations as u64;
        self.note_files(files);
        self.done.notify_all();
    }

    #[cfg(test)]
    pub(super) fn has_rotated_all(&self) -> bool {
        let state = self.state();
        state.rotations_done == state.rotations_asked
    }

    /// What the next `#TS:` line at the head of a file says.
    pub(super) fn timestamp(&self) -> Option<i64> {
        let mut state = self.state();
        let now = state.timestamps.then(|| clock::wall_us() / 1_000_000);
        state.last_timestamp = now.unwrap_or(state.last_timestamp);
        now
    }

    /// The disk fails. Whether that is news.
    pub(super) fn fails(&self, error: &io::Error, in_sync: bool) -> bool {
        let text = reason(error);
        let mut state = self.state();
        state.status.failures += u64::from(state.status.error.is_none());
        let is_news = state.status.error.as_ref() != Some(&text);
        state.status.error = Some(text);
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        state.status.is_out_of_room = kinds.contains(&error.kind());
        state.status.failed_in_sync = in_sync;
        self.is_failing.store(true, Ordering::Release);
        drop(state);
        self.done.notify_all();
        is_news
    }

    pub(super) fn has_recovered(&self) {
        let mut state = self.state();
        state.status.error = None;
        state.status.is_out_of_room = false;
        self.is_failing.store(false, Ordering::Release);
    }

    /// The files changed.
    pub(super) fn note_files(&self, files: &Files) {
        let mut state = self.state();
        state.sizes = files.sizes();
        state.status.awaits_base = files.awaits_base();
    }

    pub(super) fn note_sizes(&self, increment_bytes: u64, unsynced_bytes: u64) {
        let mut state = self.state();
        state.increment_bytes = increment_bytes;
        state.status.unsynced_bytes = unsynced_bytes;
    }

    pub(super) fn note_sync(&self, took: Duration, is_late: bool) {
        let mut state = self.state();
        state.status.delayed_fsyncs += u64::from(is_late);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        state.status.longest_fsync_us = state.status.longest_fsync_us.max(took_us);
    }
}

/// A lock that outlives a panic elsewhere: what it guards is whole after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::testing::options;
    use super::*;

    const LONG_ENOUGH: Duration = Duration::from_secs(60);

    fn gathered(shared: &Shared, clients: usize, at_most: Duration, batches: u64) -> Work {
        thread::scope(|scope| {
            let waits = scope.spawn(|| shared.work(&WaitFor::Company { clients, at_most }));
            for _ in 0..batches {
                shared.append(b"*1\r\n$4\r\nPING\r\n");
            }
            waits.join().expect("it does not panic")
        })
    }

    #[test]
    fn company_ends_the_wait_once_all_of_it_is_there() {
        let shared = Shared::new(&options(Fsync::Always));
        let work = gathered(&shared, 3, LONG_ENOUGH, 3);
        assert_eq!(work.gathered, 3);
        assert_eq!(work.todo.len(), 1, "they are one group");
    }

    #[test]
    fn who_came_during_the_sync_is_waited_for_no_more() {
        let shared = Shared::new(&options(Fsync::Always));
        shared.append(b"*1\r\n$4\r\nPING\r\n");
        shared.is_durable(0);
        assert_eq!(gathered(&shared, 2, LONG_ENOUGH, 2).gathered, 2);
    }

    #[test]
    fn without_company_work_alone_ends_the_wait() {
        let shared = Shared::new(&options(Fsync::Always));
        let work = gathered(&shared, 50, Duration::from_millis(1), 1);
        assert_eq!(work.todo.len(), 1);
        assert!(work.gathered < 50);
    }

    /// A source that has a command whenever it is asked, unless it is busy.
    #[derive(Default)]
    struct Spring {
        shared: OnceLock<Arc<Shared>>,
        is_watched: AtomicBool,
        is_busy: AtomicBool,
    }

    impl Source for Spring {
        fn watch(&self, comes: bool) {
            self.is_watched.store(comes, Ordering::Relaxed);
        }

        fn hand_over(&self) -> bool {
            let is_busy = self.is_busy.swap(false, Ordering::Relaxed);
            if !is_busy {
                self.shared.get().expect("set below").append(b"*1\r\n$4\r\nPING\r\n");
            }
            !is_busy
        }
    }

    impl Spring {
        fn of(policy: Fsync) -> (Arc<Self>, Arc<Shared>) {
            let (spring, shared) =
                (Arc::<Self>::default(), Arc::new(Shared::new(&options(policy))));
            assert!(spring.shared.set(Arc::clone(&shared)).is_ok());
            shared.come_for(Arc::<Self>::clone(&spring));
            (spring, shared)
        }

        fn is_watched(&self) -> bool {
            self.is_watched.load(Ordering::Relaxed)
        }
    }

    const SOON: WaitFor = WaitFor::Source(Duration::from_millis(1));

    #[test]
    fn the_thread_comes_for_what_gathers_and_once_more_before_it_sleeps() {
        let (spring, shared) = Spring::of(Fsync::EverySec);
        assert!(!spring.is_watched());
        assert_eq!(shared.work(&SOON).todo.len(), 1);
        assert!(spring.is_watched(), "it comes again");
        assert_eq!(shared.work(&WaitFor::Work(None)).todo.len(), 1);
        assert!(!spring.is_watched());
        let wait = WaitFor::Work(Some(Duration::from_millis(1)));
        assert_eq!(shared.work(&wait).todo.len(), 0, "nothing gathers there any more");
    }

    #[test]
    fn a_source_that_is_busy_is_asked_again_before_long() {
        let (spring, shared) = Spring::of(Fsync::No);
        shared.work(&SOON);
        spring.is_busy.store(true, Ordering::Relaxed);
        assert_eq!(shared.work(&WaitFor::Work(None)).todo.len(), 0);
        assert_eq!(shared.work(&WaitFor::Work(None)).todo.len(), 1);
    }

    #[test]
    fn nothing_gathers_where_each_batch_waits_for_its_sync_or_the_log_ends() {
        let (spring, shared) = Spring::of(Fsync::EverySec);
        shared.work(&SOON);
        shared.set_policy(Fsync::Always);
        assert!(!spring.is_watched());
        shared.work(&SOON);
        assert!(!spring.is_watched());
        shared.set_policy(Fsync::EverySec);
        shared.work(&SOON);
        assert!(spring.is_watched());
        shared.close();
        assert!(!spring.is_watched());
        shared.work(&SOON);
        assert!(!spring.is_watched());
    }

    #[test]
    fn what_is_urgent_waits_for_no_company() {
        let shared = Shared::new(&options(Fsync::Always));
        shared.close();
        assert!(shared.work(&WaitFor::Company { clients: 9, at_most: LONG_ENOUGH }).is_closing);
    }
}
