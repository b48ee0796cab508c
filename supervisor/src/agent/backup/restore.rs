//! Puts a backup in the place of the present data, which is set aside and never deleted.
//!
//! ```text
//!  1  the file is read from end to end, and copied next to the data      nothing has changed
//!  2  the server is stopped
//!  3  restore.json says what is about to be renamed                      an interruption from here …
//!  4  dump.rdb, appendonlydir → NAME.before-restore-STAMP
//!     the copy → dump.rdb, and the base of a new appendonlydir
//!  5  the server is started, and says how many keys it has loaded
//!  6  restore.json goes                                                  … to here is undone
//! ```
//!
//! When the server does not come up with what the file holds, it is stopped, what it was given goes
//! and the data set aside gets its names back; after a power cut, or in a container that ended with
//! its server, the next agent does that before anything is loaded. A log becomes the restored file with an empty rest: a
//! server with `appendonly yes` reads nothing else.

mod journal;
mod place;
mod proof;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::control::Order;
use holdfast_supervisor::paths;

use super::rdb::Contents;
use super::save::Layout;
use super::store::{RESERVE_BYTES, Size, free_bytes, read_sidecar, stamp};
use super::{blocking, copy, server_pid, unix_ms};
use crate::control::service;
use crate::dialogue::Dialogue;
use crate::files::write_whole;
use crate::run::Shared;
use place::Placement;

/// Stopping takes the server's grace, starting the time it needs to load.
const STOP_LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(3600);
const LAYOUT: &str = "layout.json";

/// What has happened, for whoever asked; the last sentence comes back.
pub(crate) async fn restore(
    shared: &Rc<Shared>,
    path: &str,
    tell: impl Fn(String),
) -> Result<String, String> {
    let layout = layout(shared).await;
    let from = PathBuf::from(path);
    let placement = Placement::new(&layout, &stamp(unix_ms()));
    let staged = placement.staged.clone();
    let contents = blocking(move || stage(&from, &staged)).await?;
    tell(format!("{path} is sound: {} keys, {}", contents.keys, Size(contents.bytes)));
    let restored = replace(shared, &placement, &contents, &tell).await;
    // Renamed by now, unless it was never used.
    let _ = std::fs::remove_file(&placement.staged);
    restored
}

/// The copy is on the data's file system: from here on renames are enough.
fn stage(from: &Path, staged: &Path) -> Result<Contents, String> {
    let now = unix_ms();
    let known = read_sidecar(from);
    let contents = copy::verify(from, now)?;
    if let Some(facts) = &known {
        facts.agree(&contents).map_err(|why| format!("{} {why}", from.display()))?;
    }
    let directory = staged.parent().unwrap_or(Path::new("/"));
    let free = free_bytes(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let need = contents.bytes.saturating_add(RESERVE_BYTES);
    if free < need {
        let (need, free) = (Size(need), Size(free));
        return Err(format!("no room in {}: {need} needed, {free} free", directory.display()));
    }
    copy::copy(from, staged, now, |_| Ok(()))
}

async fn replace(
    shared: &Rc<Shared>,
    placement: &Placement,
    contents: &Contents,
    tell: &impl Fn(String),
) -> Result<String, String> {
    tell(stop(shared).await?);
    if let Err(why) = place(placement).await {
        start(shared).await?;
        return Err(format!("{why}; the data is as it was"));
    }
    let proven = match start(shared).await {
        Ok(_) => proof::prove(server_pid(shared), contents).await,
        Err(why) => Err(why),
    };
    match proven {
        Ok(said) => {
            journal::remove()?;
            Ok(format!("{said}; {}", placement.where_aside()))
        }
        Err(why) => {
            tell(format!("not restored: {why}"));
            give_back(shared, placement).await?;
            Err(format!("{why}; the data is as it was before"))
        }
    }
}

async fn place(placement: &Placement) -> Result<(), String> {
    let placement = placement.clone();
    blocking(move || {
        placement.check_free()?;
        journal::write(&placement)?;
        let placed = placement.place();
        if placed.is_err() {
            placement.undo()?;
            journal::remove()?;
        }
        placed
    })
    .await
}

async fn give_back(shared: &Rc<Shared>, placement: &Placement) -> Result<(), String> {
    let lost = |why: String| {
        format!(
            "{why}; and what was there before could not be put back: {}",
            placement.where_aside()
        )
    };
    stop(shared).await.map_err(lost)?;
    let undone = placement.clone();
    blocking(move || undone.undo().and_then(|()| journal::remove())).await.map_err(lost)?;
    start(shared).await.map(drop)
}

async fn stop(shared: &Rc<Shared>) -> Result<String, String> {
    service::carry_out(shared, Order::Stop, "server", STOP_LIMIT).await
}

async fn start(shared: &Rc<Shared>) -> Result<String, String> {
    service::carry_out(shared, Order::Start, "server", START_LIMIT).await
}

/// Undoes what was interrupted, before the server is given anything to load: at a start init waits
/// for the plan. A server that runs already was started by the agent before this one.
pub(crate) async fn recover(shared: &Rc<Shared>) -> bool {
    if !journal::is_there() {
        return false;
    }
    let _ = shared.snapshot.subscribe().wait_for(Option::is_some).await;
    let said = match undo_interrupted(shared).await {
        Ok(()) => "a restore was interrupted: the data is as it was before".to_owned(),
        Err(why) => format!("a restore was interrupted, and is not undone: {why}"),
    };
    eprintln!("holdfast-agent: {said}");
    shared.backup.borrow_mut().notice = Some(said);
    true
}

/// A server that was stopped for a restore is down, and nobody else starts it.
pub(crate) fn start_again(shared: &Rc<Shared>) {
    let shared = Rc::clone(shared);
    tokio::task::spawn_local(async move {
        if let Err(why) = start(&shared).await {
            eprintln!("holdfast-agent: after an interrupted restore: {why}");
        }
    });
}

async fn undo_interrupted(shared: &Rc<Shared>) -> Result<(), String> {
    if server_pid(shared).is_some() {
        stop(shared).await?;
    }
    blocking(journal::undo).await
}

/// As the server says; of one that does not answer, as it last said.
async fn layout(shared: &Shared) -> Layout {
    if let Ok(mut server) = Dialogue::open(server_pid(shared)).await
        && let Ok(layout) = Layout::ask(&mut server).await
    {
        remember(&layout);
        return layout;
    }
    let known = std::fs::read(state().join(LAYOUT)).ok();
    known
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_else(|| Layout::standard(Path::new(paths::DATA)))
}

/// Not having it is only a loss when the server is down at the next restore.
pub(crate) fn remember(layout: &Layout) {
    let text = serde_json::to_vec(layout).expect("strings are JSON");
    let path = state().join(LAYOUT);
    if std::fs::read(&path).is_ok_and(|known| known == text) {
        return;
    }
    if let Err(error) = std::fs::create_dir_all(state()).and_then(|()| write_whole(&path, &text)) {
        eprintln!("holdfast-agent: {}: {error}", path.display());
    }
}

fn state() -> PathBuf {
    PathBuf::from(paths::STATE)
}
