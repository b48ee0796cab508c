//! Our own kernel: tinyconfig plus image/kernel/*.fragment, no modules, built once per content.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::source;
use super::{Kernel, fragments};
use crate::packages::ensure_packages;
use crate::paths;
use crate::process::{say, stream};

/// What compiling needs beyond Kconfig: objtool's ELF library, certificates' headers, compressors.
const NEEDS: [&str; 5] = ["libelf-dev", "libssl-dev", "bc", "zstd", "perl-base"];

/// Lines that make prints for one build; only the percentage shown depends on it.
const ABOUT_LINES: usize = 2560;

const SAY_EVERY: Duration = Duration::from_secs(15);

/// Our kernel, if it was built for today's fragments.
pub fn cached() -> Result<Option<Kernel>> {
    let prefix = format!("own-{}-", content()?);
    let cache = cache()?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&cache).context("cannot list the kernel cache")? {
        let path = entry.context("cannot list the kernel cache")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&prefix) && path.join("bzImage").is_file() {
            found.push(path.join("bzImage"));
        }
    }
    found.sort();
    found.last().map(|image| Kernel::module_less(image)).transpose()
}

/// Our kernel, built if the cache has none for these fragments and this source.
pub fn build() -> Result<Kernel> {
    let cache = cache()?;
    let _one_at_a_time = paths::lock_in(&cache, "own")?;
    let name = format!("own-{}-{}", content()?, source::version()?);
    let done = cache.join(&name);
    let image = done.join("bzImage");
    if !image.is_file() {
        ensure_packages(&NEEDS)?;
        compile(&paths::make(paths::scratch()?.join(&name))?, &done)?;
    }
    say(format!("our kernel: {}", image.display()));
    Kernel::module_less(&image)
}

fn cache() -> Result<PathBuf> {
    paths::make(paths::cache()?.join("kernel"))
}

/// The fragments' hash, short.
fn content() -> Result<String> {
    let mut hash = Sha256::new();
    for file in fragments::files()? {
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    Ok(hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// Compiles in `work`, which stays for the next try if this one is interrupted.
fn compile(work: &Path, done: &Path) -> Result<()> {
    let (tree, build) = (work.join("source"), work.join("build"));
    source::unpack(&tree)?;
    source::configure(&tree, &build)?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    say(format!("building the kernel with {jobs} jobs; about 10 minutes on two free cores"));
    let mut progress = Progress::new();
    let mut make = source::make(&tree, &build);
    stream(make.arg(format!("-j{jobs}")).arg("bzImage"), |line| progress.see(line))
        .context("the kernel does not build")?;

    put_in_place(&build, done)?;
    fs::remove_dir_all(work).with_context(|| format!("cannot remove {}", work.display()))
}

/// Copies, since the cache may lie on another file system than the target directory.
fn put_in_place(build: &Path, done: &Path) -> Result<()> {
    let parent = done.parent().context("the cache is a directory")?;
    let scratch = tempfile::tempdir_in(parent).context("cannot make a scratch directory")?;
    for (from, to) in [(".config", "config"), ("arch/x86/boot/bzImage", "bzImage")] {
        fs::copy(build.join(from), scratch.path().join(to))
            .with_context(|| format!("cannot copy {from} to {}", parent.display()))?;
    }
    fs::rename(scratch.keep(), done).with_context(|| format!("cannot make {}", done.display()))
}

struct Progress {
    begun: Instant,
    said: Instant,
    lines: usize,
}

impl Progress {
    fn new() -> Self {
        Self { begun: Instant::now(), said: Instant::now(), lines: 0 }
    }

    fn see(&mut self, line: &str) {
        self.lines += 1;
        if self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.said = Instant::now();
        let seconds = self.begun.elapsed().as_secs();
        let percent = (self.lines * 100 / ABOUT_LINES).min(99);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        say(format!("  kernel {percent:2} %  {minutes}:{seconds:02}  {}", line.trim()));
    }
}
