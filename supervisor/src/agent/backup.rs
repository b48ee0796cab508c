//! Backups: the server's own file, copied, read back and kept, on a schedule and on demand.
//!
//! Reading order: [`save`] is the server's part, [`copy`] makes the copy and proves it by [`rdb`],
//! [`store`] names and counts what there is, [`schedule`] says when, [`restore`] goes the other way.

pub(crate) mod copy;
pub(crate) mod rdb;
pub(crate) mod restore;
pub(crate) mod save;
pub(crate) mod schedule;
pub(crate) mod store;
pub(crate) mod verify;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::paths;
use holdfast_supervisor::snapshot::Mode;
use serde::Serialize;

use crate::dialogue::Dialogue;
use crate::report::Span;
use crate::run::Shared;
use save::Layout;
use store::{Entry, Facts, Store};

/// `[backup]` of holdfast.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) every: Every,
    pub(crate) keep: u32,
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    /// Daily on a machine; in a container the volume has an owner, who does it.
    Auto,
    Off,
    Period(Duration),
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Settings {
    fn default() -> Self {
        let directory = PathBuf::from(paths::STATE).join("backups");
        Self { every: Every::Auto, keep: 7, directory }
    }
}

impl Settings {
    pub(crate) fn period(&self, mode: Mode) -> Option<Duration> {
        match (self.every, mode) {
            (Every::Period(period), _) => Some(period),
            (Every::Auto, Mode::Metal) => Some(DAY),
            (Every::Auto, Mode::Container) | (Every::Off, _) => None,
        }
    }
}

/// How the last attempt of this agent ended, for `status`.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) failed: Option<Failed>,
    /// When the next one is due.
    pub(crate) next_at: Option<Ms>,
    /// A restore that was interrupted and undone, or that is to be looked at.
    pub(crate) notice: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) why: String,
    pub(crate) at: Ms,
}

/// The part of the status report.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    every_ms: Option<Ms>,
    next_in_ms: Option<Ms>,
    count: usize,
    pub(crate) last: Option<Last>,
    pub(crate) error: Option<String>,
    pub(crate) notice: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Last {
    pub(crate) file: PathBuf,
    #[serde(flatten)]
    facts: Option<Facts>,
}

impl Told {
    pub(crate) fn new(shared: &Shared, mode: Mode, now: Ms) -> Self {
        let settings = shared.config().backup.clone();
        let list = Store::at(&settings.directory).list();
        let state = shared.backup.borrow();
        Self {
            every_ms: settings.period(mode).map(|every| every.as_millis() as Ms),
            next_in_ms: state.next_at.map(|at| at.saturating_sub(now)),
            count: list.len(),
            last: list
                .into_iter()
                .next_back()
                .map(|Entry { path, facts, .. }| Last { file: path, facts }),
            error: state.failed.as_ref().map(|failed| failed.why.clone()),
            notice: state.notice.clone(),
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }
}

/// Milliseconds since 1970 by the wall clock, whatever it says.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(Last { file, facts: Some(facts) }) = &self.last {
            let (file, size) = (file.display(), store::Size(facts.bytes));
            let ago = Span(unix_ms().saturating_sub(facts.taken_unix_ms));
            writeln!(f, "backup: {file}, {ago} ago, {} keys, {size}", facts.keys)?;
        }
        if let Some(next) = self.next_in_ms {
            writeln!(f, "backup: the next in {}", Span(next))?;
        }
        if let Some(why) = &self.error {
            writeln!(f, "backup failed: {why}")?;
        }
        self.notice.iter().try_for_each(|notice| writeln!(f, "note: {notice}"))
    }
}

/// Makes one backup and forgets the oldest; what became of it is remembered for `status`.
pub(crate) async fn make(shared: &Shared) -> Result<Entry, String> {
    let made = try_make(shared).await;
    let failed = made.as_ref().err().map(|why| Failed { why: why.clone(), at: now_ms() });
    if let Some(Failed { why, .. }) = &failed {
        eprintln!("holdfast-agent: the backup failed: {why}");
    }
    shared.backup.borrow_mut().failed = failed;
    made
}

async fn try_make(shared: &Shared) -> Result<Entry, String> {
    let settings = shared.config().backup.clone();
    let layout = save(shared).await?;
    blocking(move || keep(&settings, &layout)).await
}

/// The server's file, up to date.
pub(crate) async fn save(shared: &Shared) -> Result<Layout, String> {
    let mut server = Dialogue::open(server_pid(shared))
        .await
        .map_err(|error| format!("the server cannot be asked: {error}"))?;
    let layout = save::save(&mut server).await?;
    restore::remember(&layout);
    Ok(layout)
}

fn keep(settings: &Settings, layout: &Layout) -> Result<Entry, String> {
    let of = |error: std::io::Error| format!("{}: {error}", settings.directory.display());
    let store = Store::open(&settings.directory).map_err(of)?;
    let dump = layout.dump();
    let bytes = std::fs::metadata(&dump).map_err(|error| format!("{}: {error}", dump.display()))?;
    store.make_room(bytes.len())?;
    let now = unix_ms();
    let path = store.next_path(now);
    copy::copy_with_facts(&dump, &path, now)?;
    store.prune(settings.keep as usize).map_err(of)?;
    store.list().pop().filter(|entry| entry.path == path).ok_or_else(|| "it is gone".to_owned())
}

/// Files are read and written beside the loop that answers and asks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

pub(crate) fn server_pid(shared: &Shared) -> Option<u32> {
    shared.snapshot.borrow().as_ref()?.service("server")?.1.pid
}
