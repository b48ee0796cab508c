//! The last holdfast.toml without mistakes, kept for a start with one that has some.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_supervisor::paths;

use crate::config::Config;
use crate::files::write_whole;

fn path() -> PathBuf {
    Path::new(paths::STATE).join("holdfast.toml.last-good")
}

/// Written only when it is another: a start is no reason to wear out a disk.
pub(crate) fn keep(file: &Path) {
    let path = path();
    let Ok(text) = fs::read(file) else { return };
    if fs::read(&path).is_ok_and(|kept| kept == text) {
        return;
    }
    if let Err(error) = fs::create_dir_all(paths::STATE).and_then(|()| write_whole(&path, &text)) {
        eprintln!("holdfast-agent: {}: {error}", path.display());
    }
}

/// As strict as with any other: one that was damaged on the disk is none.
pub(crate) fn load() -> Option<Config> {
    Config::load(&path()).ok().flatten()
}
