//! Where this crate keeps things.

use std::fs;
use std::path::{Path, PathBuf};

/// This crate's directory.
pub fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    holdfast_image::paths::target()
}

/// A directory for what is dear to fetch or build; it outlives the checkout.
pub fn cache(name: &str) -> Result<PathBuf, String> {
    let cache = holdfast_image::paths::cache().map_err(|why| format!("{why:#}"))?;
    let directory = cache.join(name);
    fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    Ok(directory)
}
