//! The log as the engine has it: a handle that takes bytes and never waits for the disk. The thread
//! behind it is in [`writer`](super::writer).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::files::Files;
use super::shared::{Shared, lock};
use super::writer::{Leapt, Writer};
use super::{Fsync, Options, Source};
use crate::engine::Bell;

/// How long [`Log::adopt_base`] waits for the disk before it gives up.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(60);

/// A log being written. All of it may be called under the engine's lock, except
/// [`adopt_base`](Self::adopt_base) and [`close`](Self::close), which wait for the disk.
pub struct Log {
    shared: Arc<Shared>,
    files: Arc<Mutex<Files>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How the log is, for INFO and for refusing writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes of the base.
    pub base_bytes: u64,
    /// Bytes of base and increments.
    pub current_bytes: u64,
    /// Bytes that wait to be written.
    pub pending_bytes: u64,
    /// Bytes written that may not be durable yet.
    pub unsynced_bytes: u64,
    /// Whether so many bytes wait that writes have to.
    pub is_full: bool,
    /// What the disk said last, while it fails. Writing is tried again until it succeeds.
    pub error: Option<String>,
    /// The error is that the disk is full.
    pub is_out_of_room: bool,
    /// Whether the error came of a sync and not of a write.
    pub failed_in_sync: bool,
    /// How often the disk began to fail since the start.
    pub failures: u64,
    /// Syncs that came more than a second late under `everysec`.
    pub delayed_fsyncs: u64,
    /// The longest sync, in microseconds.
    pub longest_fsync_us: u64,
    /// Bytes ever appended, and how many of them are durable.
    pub appended: u64,
    pub durable: u64,
    /// The increment being written is not part of any log yet: it is when a base is adopted.
    pub awaits_base: bool,
}

impl Log {
    pub(super) fn start(options: &Options, files: Files, writer: Writer) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(options));
        shared.note_files(&files);
        let files = Arc::new(Mutex::new(files));
        let run = {
            let (shared, files) = (Arc::clone(&shared), Arc::clone(&files));
            move || writer.run(&shared, &files)
        };
        let thread = thread::Builder::new().name("holdfast-log".to_owned()).spawn(run)?;
        Ok(Self { shared, files, thread: Mutex::new(Some(thread)) })
    }

    /// Appends whole units. Answers the offset, in bytes ever appended, that has to be
    /// [durable](Self::durable) for them to be.
    pub fn append(&self, units: &[u8]) -> u64 {
        self.shared.append(units)
    }

    /// Bytes ever appended that no power cut takes back.
    pub fn durable(&self) -> u64 {
        self.shared.durable()
    }

    /// Rings the bell once `offset` is durable, at once if it is. While the disk fails it does not.
    pub fn when_durable(&self, offset: u64, bell: Arc<Bell>) {
        self.shared.when_durable(offset, bell);
    }

    /// From now on this bell rings instead of those that wait, and whoever hears it calls
    /// [`ring_reached`](Self::ring_reached).
    pub fn announce_through(&self, herald: Arc<Bell>) {
        self.shared.announce_through(herald);
    }

    /// From now on bytes may gather at a source.
    pub fn come_for(&self, source: Arc<dyn Source>) {
        self.shared.come_for(source);
    }

    /// Rings for all whose offset is durable.
    pub fn ring_reached(&self) {
        self.shared.ring_reached();
    }

    /// Whether the disk fails: nothing appended becomes durable until it recovers.
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing()
    }

    /// Whether so much waits to be written that writes should wait, too.
    pub fn is_full(&self) -> bool {
        self.shared.is_full()
    }

    pub fn set_policy(&self, policy: Fsync) {
        self.shared.set_policy(policy);
    }

    /// `aof-timestamp-enabled`.
    pub fn set_timestamps(&self, are_on: bool) {
        self.shared.set_timestamps(are_on);
    }

    /// `aof-disable-auto-gc`.
    pub fn set_keep_history(&self, keep: bool) {
        self.shared.set_keep_history(keep);
    }

    /// What is appended from now on goes to a new increment: a rewrite begins, whose base will stand
    /// for everything before. The first unit has to select its database.
    pub fn rotate(&self) {
        self.shared.rotate();
    }

    /// A rewrite is over: `temp`, written and synced, becomes the base, in place of everything before
    /// the last [rotation](Self::rotate). Waits for the disk.
    ///
    /// While the disk does not take what waits to be written before that rotation, the base stands for
    /// it, too. On an error `temp` may still be there.
    pub fn adopt_base(&self, temp: &Path) -> io::Result<()> {
        if let Err(error) = self.shared.wait_for_rotations(ADOPT_TIMEOUT) {
            if !self.is_failing() {
                return Err(error);
            }
            if self.shared.leap(temp, ADOPT_TIMEOUT)? == Leapt::Done {
                return Ok(());
            }
        }
        let statement = {
            let mut files = lock(&self.files);
            let statement = files.adopt(temp)?;
            self.shared.note_files(&files);
            statement
        };
        // The increment says which base it follows before the old one may go.
        let end = self.shared.append_and_sync(&statement);
        let is_stated = self.shared.wait_until_durable(end, ADOPT_TIMEOUT);
        if is_stated && !self.shared.keeps_history() {
            lock(&self.files).remove_history()?;
        }
        Ok(())
    }

    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Writes and syncs everything, then ends the thread. An error says that the disk would not: what
    /// is not durable then is lost. The log takes nothing any more.
    pub fn close(&self) -> io::Result<()> {
        self.shared.close();
        // The thread itself, if it is the last to know the log, just goes on to its end.
        if let Some(thread) = lock(&self.thread).take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            return Err(io::Error::other("the log's thread ended with a panic"));
        }
        // The herald may not come to it any more.
        self.shared.ring_reached();
        self.shared.closed()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Whoever wants to know closes it.
        let _ = self.close();
        // The herald finds that there is nothing to announce any more.
        self.shared.announce();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use tempfile::TempDir;

    use super::super::testing::{Data, options, unit};
    use super::super::{Opened, open};
    use super::*;
    use crate::storage::Disk;

    const THREADS: u64 = 4;
    const UNITS: u64 = 50;

    fn opened(dir: &TempDir, fsync: Fsync) -> (Log, Vec<u64>) {
        let options = Options { dir: dir.path().to_owned(), ..options(fsync) };
        let mut data = Data::default();
        let Opened { log, report } = open(Arc::new(Disk::default()), &options, &mut data).unwrap();
        assert!(report.is_clean(), "{report:?}");
        (log, data.units)
    }

    /// A thread that sleeps until its bell rings.
    struct Sleeper(thread::Thread);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn append_and_wait(log: &Log, id: u64) {
        let end = log.append(&unit(id, 30));
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::new(Sleeper(thread::current())));
        bell.listen(&waker);
        log.when_durable(end, Arc::clone(&bell));
        while !bell.answer(&waker) {
            thread::park();
        }
        assert!(log.durable() >= end);
    }

    #[test]
    fn what_many_threads_append_is_durable_when_their_bells_ring() {
        let dir = TempDir::new().unwrap();
        let (log, _) = opened(&dir, Fsync::Always);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let log = &log;
                scope.spawn(move || {
                    (0..UNITS).for_each(|index| append_and_wait(log, number * UNITS + index));
                });
            }
        });
        // Nothing was closed: as after kill -9.
        let (_, mut units) = opened(&dir, Fsync::Always);
        units.sort_unstable();
        assert_eq!(units, Vec::from_iter(0..THREADS * UNITS));
        assert_eq!(log.status().pending_bytes, 0);
    }

    #[test]
    fn a_closed_log_has_everything_and_takes_no_more() {
        for fsync in [Fsync::EverySec, Fsync::No] {
            let dir = TempDir::new().unwrap();
            let (log, _) = opened(&dir, fsync);
            (0..UNITS).for_each(|id| _ = log.append(&unit(id, 30)));
            log.close().unwrap();
            assert_eq!(log.durable(), log.append(&unit(99, 30)));
            assert_eq!(opened(&dir, fsync).1, Vec::from_iter(0..UNITS));
        }
    }

    #[test]
    fn a_base_takes_the_place_of_what_was_before_the_rotation() {
        let dir = TempDir::new().unwrap();
        let (log, _) = opened(&dir, Fsync::EverySec);
        let temp = dir.path().join("temp-rewriteaof-bg-1.aof");
        (0..UNITS).for_each(|id| _ = log.append(&unit(id, 30)));
        log.rotate();
        log.append(&unit(UNITS, 30));
        std::fs::write(&temp, super::super::testing::base(0..UNITS)).unwrap();
        log.set_keep_history(true);
        log.adopt_base(&temp).unwrap();
        assert!(log.adopt_base(&temp).is_err(), "no rewrite was begun");
        let manifest = dir.path().join("appendonlydir/appendonly.aof.manifest");
        let listed = std::fs::read_to_string(manifest).unwrap();
        let expected = "file appendonly.aof.2.base.rdb seq 2 type b\n\
                        file appendonly.aof.1.incr.aof seq 1 type h\n\
                        file appendonly.aof.1.base.rdb seq 1 type h\n\
                        file appendonly.aof.2.incr.aof seq 2 type i\n";
        assert_eq!(listed, expected);
        log.set_keep_history(false);
        log.append(&unit(UNITS + 1, 30));
        let status = log.status();
        assert!(status.base_bytes > 8 * UNITS && status.base_bytes < status.current_bytes);
        log.close().unwrap();
        let mut names: Vec<String> = std::fs::read_dir(dir.path().join("appendonlydir"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected =
            ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"];
        assert_eq!(names, expected);
        assert_eq!(opened(&dir, Fsync::EverySec).1, Vec::from_iter(0..UNITS + 2));
    }

    #[test]
    fn a_log_that_begins_later_is_none_before_its_base() {
        let dir = TempDir::new().unwrap();
        let (log, _) = opened(&dir, Fsync::Always);
        append_and_wait(&log, 0);
        log.close().unwrap();
        let options = Options { dir: dir.path().to_owned(), ..options(Fsync::Always) };
        let begin = || super::super::begin(Arc::new(Disk::default()), &options).unwrap();
        let log = begin();
        assert!(log.status().awaits_base);
        append_and_wait(&log, 8);
        drop(log);
        let mut data = Data::default();
        let old = open(Arc::new(Disk::default()), &options, &mut data).unwrap();
        assert_eq!(data.units, [0]);
        assert_eq!(old.report.set_aside.len(), 1, "{:?}", old.report);
        old.log.close().unwrap();

        let log = begin();
        let temp = dir.path().join("temp-rewriteaof-1.aof");
        std::fs::write(&temp, super::super::testing::base(0..5)).unwrap();
        append_and_wait(&log, 5);
        log.adopt_base(&temp).unwrap();
        assert!(!log.status().awaits_base);
        append_and_wait(&log, 6);
        log.close().unwrap();
        assert_eq!(opened(&dir, Fsync::Always).1, Vec::from_iter(0..7));
    }
}
