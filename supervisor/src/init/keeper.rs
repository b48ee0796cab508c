//! The boot record on the data partition: read at the start, written now and then in place, and once
//! more at the end. Reading and writing it is also how the disk is asked whether it lives.
//!
//! Every few seconds it is read, past the page cache; a write takes flash, so it is made only when
//! there is something new, or after [`WRITE_EVERY_MS`]. Each is a child's work, for a disk may take a
//! request and never answer.
//!
//! The one record of the one PID 1 is a static: a panic must find it from anywhere.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::paths;
use holdfast_supervisor::record::{BLOCK_BYTES, Record, State};
use holdfast_supervisor::snapshot::Starved;
use rustix::fs::{FileType, Gid, Mode, OFlags, StatVfsMountFlags, Uid};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::console::say;
use crate::metal::clock;
use crate::sys;

const FILE: &str = "/data/holdfast/boot";
/// 4 KiB each time: 1.2 MB a day, where a write for every question would be 70 MB. So long may a disk
/// that reads, but takes no writes, stay unnoticed by init while nobody else writes to it; and as far
/// may the clock of a machine without a hardware clock fall back.
const WRITE_EVERY_MS: Ms = 5 * 60_000;

static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

struct Keeper {
    file: OwnedFd,
    record: Record,
    block: Box<Block>,
    written_at: Ms,
    /// The record says what the disk does not.
    is_new: bool,
}

/// Direct I/O wants memory aligned like the disk's blocks.
#[repr(align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Answer {
    Well = 0,
    /// It answers, but nobody could write more.
    Full = 1,
    /// The file system takes no writes any more.
    ReadOnly = 2,
    /// The disk answered with an error.
    Failed = 3,
}

impl Answer {
    /// From the child's exit status; a child that was killed answered nothing good.
    pub(crate) fn from_exit(code: Option<i32>) -> Self {
        match code {
            Some(0) => Self::Well,
            Some(1) => Self::Full,
            Some(2) => Self::ReadOnly,
            _ => Self::Failed,
        }
    }
}

/// Opens the record on the mounted data partition. The one before, if there is any.
pub(crate) fn open() -> std::io::Result<Option<Record>> {
    let before = prepare(Path::new(FILE))?;
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    let file = rustix::fs::open(FILE, flags, Mode::empty())?;
    let record = before.clone().unwrap_or_default();
    let block = Box::new(Block([0; BLOCK_BYTES]));
    let keeper = Keeper { file, record, block, written_at: now_ms(), is_new: true };
    with(|place| *place = Some(keeper));
    Ok(before)
}

/// Both blocks exist before they are written in place, so that a full disk still takes them.
fn prepare(path: &Path) -> std::io::Result<Option<Record>> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)?;
    let mut bytes = Vec::new();
    Read::take(&mut file, 2 * BLOCK_BYTES as u64).read_to_end(&mut bytes)?;
    if bytes.len() < 2 * BLOCK_BYTES {
        let missing = 2 * BLOCK_BYTES - bytes.len();
        file.write_all(&vec![0; missing])?;
        file.sync_all()?;
        path.parent().map(File::open).transpose()?.map_or(Ok(()), |folder| folder.sync_all())?;
    }
    Ok(Record::newest(&bytes))
}

/// The folder of what the agent keeps.
pub(crate) fn make_state_folder() -> std::io::Result<()> {
    match rustix::fs::mkdir(paths::STATE, Mode::from(0o750)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let (uid, gid) = (Uid::from_raw(paths::AGENT_UID), Gid::from_raw(paths::SERVICE_GID));
    rustix::fs::chown(paths::STATE, Some(uid), Some(gid))?;
    fs::set_permissions(paths::STATE, std::os::unix::fs::PermissionsExt::from_mode(0o750))?;
    give_config_to_agent();
    Ok(())
}

/// Whoever put it there had the partition mounted elsewhere, and may have been anybody.
fn give_config_to_agent() {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(paths::SITE_CONFIG, flags, Mode::empty()) else { return };
    let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind != Ok(FileType::RegularFile) {
        return;
    }
    let (uid, gid) = (Uid::from_raw(paths::AGENT_UID), Gid::from_raw(paths::SERVICE_GID));
    let given = rustix::fs::fchown(&file, Some(uid), Some(gid))
        .and_then(|()| rustix::fs::fchmod(&file, Mode::from(0o640)));
    if let Err(errno) = given {
        say!("{}: it cannot be given to the agent: {errno}", paths::SITE_CONFIG);
    }
}

/// Changes what the next write says.
pub(crate) fn change(how: impl FnOnce(&mut Record)) {
    with(|keeper| {
        if let Some(keeper) = keeper {
            how(&mut keeper.record);
            keeper.is_new = true;
        }
    });
}

/// The disk answered badly: it is not well before it has taken a write.
pub(crate) fn doubt() {
    change(|_| {});
}

/// Asks the disk: by a write of the record, with the clocks of now, where one is due, else by a read.
/// The child's exit status is an [`Answer`].
pub(crate) fn ask_aside(starved: Starved) -> Result<Pid, Errno> {
    let begun = with(|keeper| {
        let keeper = keeper.as_mut().ok_or(Errno::NOENT)?;
        keeper.is_new |= keeper.record.starved != starved;
        keeper.record.starved = starved;
        if !keeper.is_new && now_ms() < keeper.written_at + WRITE_EVERY_MS {
            return sys::child::run_aside(|| sys::process::exit_now(keeper.read() as i32));
        }
        keeper.compose();
        sys::child::run_aside(|| sys::process::exit_now(keeper.write() as i32))
    });
    begun.unwrap_or(Err(Errno::BUSY))
}

/// The first write, while start-up may still wait: a run that ends at once was one, too.
pub(crate) fn write_start() {
    with(|keeper| {
        let Some(keeper) = keeper else { return };
        keeper.compose();
        keeper.write();
        let _ = rustix::fs::fsync(&keeper.file);
    });
}

/// The last write, by a child that may take its time; then the partition can be unmounted.
pub(crate) fn write_end(state: State) {
    with(|place| {
        let Some(mut keeper) = place.take() else { return };
        keeper.record.state = state;
        keeper.compose();
        keeper.write();
        let _ = rustix::fs::fsync(&keeper.file);
    });
}

/// After which nothing is written any more.
pub(crate) fn close() {
    with(|place| drop(place.take()));
}

impl Keeper {
    fn compose(&mut self) {
        self.record.sequence += 1;
        self.record.unix_ms = clock::unix_ms();
        self.record.uptime_ms = now_ms();
        self.record.encode(&mut self.block.0);
        (self.written_at, self.is_new) = (self.record.uptime_ms, false);
    }

    /// The block that was written last, into a child's own copy of its place in memory.
    fn read(&mut self) -> Answer {
        match rustix::io::pread(&self.file, &mut self.block.0[..], self.record.place()) {
            Ok(BLOCK_BYTES) => room(self.file.as_fd()),
            Ok(_) | Err(_) => Answer::Failed,
        }
    }

    fn write(&self) -> Answer {
        match rustix::io::pwrite(&self.file, &self.block.0, self.record.place()) {
            Ok(BLOCK_BYTES) => room(self.file.as_fd()),
            Err(Errno::ROFS) => Answer::ReadOnly,
            Ok(_) | Err(_) => Answer::Failed,
        }
    }
}

fn room(file: impl AsFd) -> Answer {
    match rustix::fs::fstatvfs(file) {
        Ok(about) if about.f_flag.contains(StatVfsMountFlags::RDONLY) => Answer::ReadOnly,
        Ok(about) if about.f_bavail == 0 => Answer::Full,
        _ => Answer::Well,
    }
}

/// There is one thread: it is in use only for a panic in the middle of its use, which does without.
fn with<T>(work: impl FnOnce(&mut Option<Keeper>) -> T) -> Option<T> {
    KEEPER.try_lock().ok().map(|mut keeper| work(&mut keeper))
}
