//! What a restore is about to rename, written down before it does: whoever starts after an
//! interruption undoes it.

use std::fs;
use std::path::PathBuf;

use super::place::Placement;
use super::state;
use crate::files::{sync_parent, write_whole};

const NAME: &str = "restore.json";

fn path() -> PathBuf {
    state().join(NAME)
}

pub(super) fn write(placement: &Placement) -> Result<(), String> {
    let text = serde_json::to_vec(placement).expect("paths that came as text are JSON");
    let path = path();
    let written = fs::create_dir_all(state()).and_then(|()| write_whole(&path, &text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn remove() -> Result<(), String> {
    let path = path();
    let removed = fs::remove_file(&path).and_then(|()| sync_parent(&path));
    removed.map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn is_there() -> bool {
    path().exists()
}

/// Kept where it cannot be undone, so that nobody takes the data for sound.
pub(super) fn undo() -> Result<(), String> {
    let text = fs::read(path()).map_err(|error| error.to_string())?;
    let placement: Placement = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    placement.undo()?;
    remove()
}
