//! Where things are: the workspace, its target directory, the cache that outlives `cargo clean`.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The repository.
pub fn workspace() -> PathBuf {
    let image = Path::new(env!("CARGO_MANIFEST_DIR"));
    image.parent().expect("image/ lies in the workspace").to_path_buf()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// What the image tool itself makes and may lose: `target/image`.
pub fn scratch() -> Result<PathBuf> {
    make(target().join("image"))
}

/// What is dear to make and named by its content: kernels. `HOLDFAST_CACHE_DIR`, else XDG's place.
pub fn cache() -> Result<PathBuf> {
    let from = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let dir = from("HOLDFAST_CACHE_DIR")
        .or_else(|| from("XDG_CACHE_HOME").map(|d| d.join("holdfast")))
        .or_else(|| from("HOME").map(|d| d.join(".cache/holdfast")));
    match dir {
        Some(dir) => make(dir),
        None => bail!("no place for the cache: set HOLDFAST_CACHE_DIR (or HOME)"),
    }
}

/// Holds `target/image/NAME.lock` until dropped: one process at a time, whoever else builds waits.
pub fn lock(name: &str) -> Result<File> {
    lock_in(&scratch()?, name)
}

/// The same for what lives in the cache, which several checkouts share.
pub fn lock_in(dir: &Path, name: &str) -> Result<File> {
    let path = dir.join(format!("{name}.lock"));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open the lock file {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Writes `bytes` to `path` so that a reader sees the old file or the whole new one.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let context = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(context)?;
    std::io::Write::write_all(&mut file, bytes).with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

pub(crate) fn make(dir: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}
