//! The kernel's source as Debian packages it, and configuring it with our fragments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::fragments;
use crate::packages::ensure_packages;
use crate::paths;
use crate::process::{output, say};

const PACKAGE: &str = "linux-source-6.12";
const TARBALL: &str = "/usr/src/linux-source-6.12.tar.xz";

/// What Kconfig itself is built with.
const KCONFIG_NEEDS: [&str; 7] = [PACKAGE, "xz-utils", "make", "gcc", "libc6-dev", "flex", "bison"];

/// The files that Kconfig reads, and the tools in scripts/ that it asks about the compiler.
const KCONFIG_FILES: [&str; 7] = [
    "linux-source-6.12/Makefile",
    "linux-source-6.12/scripts",
    "*/Kconfig*",
    "*/Makefile*",
    "*/configs/tiny*.config",
    "*/arch/x86/include/asm/*features.h",
    "*/include/linux/compiler*.h",
];

/// The installed source's version, such as `6.12.117-1~deb12u1`.
pub fn version() -> Result<String> {
    ensure_packages(&KCONFIG_NEEDS)?;
    let out = output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", PACKAGE]))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Unpacks the whole source into `dir`, unless that was done before.
pub fn unpack(dir: &Path) -> Result<()> {
    unpack_some(dir, &[])
}

/// As much of the source as Kconfig needs (a twentieth), kept in the cache.
pub fn for_kconfig() -> Result<PathBuf> {
    let cache = paths::make(paths::cache()?.join("kernel"))?;
    let _one_at_a_time = paths::lock_in(&cache, "kconfig")?;
    let dir = cache.join(format!("kconfig-{}", version()?));
    unpack_some(&dir, &KCONFIG_FILES)?;
    Ok(dir)
}

fn unpack_some(dir: &Path, only: &[&str]) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    ensure_packages(&KCONFIG_NEEDS)?;
    say(format!("unpacking {TARBALL}"));
    let parent = dir.parent().context("a directory below the root is wanted")?;
    let scratch = tempfile::tempdir_in(parent).context("cannot make a scratch directory")?;
    let mut tar = Command::new("tar");
    tar.args(["-xf", TARBALL, "--strip-components=1", "--wildcards", "-C"]);
    output(tar.arg(scratch.path()).args(only))?;
    fs::rename(scratch.keep(), dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// Makes `build/.config` from nothing (tinyconfig) and our fragments, and checks that all they
/// ask for is there.
pub fn configure(source: &Path, build: &Path) -> Result<()> {
    let files = fragments::files()?;
    fs::create_dir_all(build).with_context(|| format!("cannot make {}", build.display()))?;
    output(make(source, build).arg("tinyconfig")).context("the kernel's tinyconfig")?;
    let config = build.join(".config");
    let mut merge = Command::new(source.join("scripts/kconfig/merge_config.sh"));
    merge.current_dir(source).args(["-m", "-O"]).arg(build).arg(&config).args(&files);
    output(&mut merge).context("merging the kernel's fragments")?;
    output(make(source, build).arg("olddefconfig")).context("the kernel's olddefconfig")?;

    let config = fs::read_to_string(&config).context("cannot read the kernel's .config")?;
    let mut lost = Vec::new();
    for file in files {
        for line in fragments::lost(&fragments::read(&file)?, &config) {
            lost.push(format!("    {}: {line}", file.file_name().unwrap_or_default().display()));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    bail!("the kernel's configuration lost what image/kernel asks for:\n{}", lost.join("\n"))
}

/// `make` in `source` with its output in `build`, telling nothing of this machine to the result.
pub fn make(source: &Path, build: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C").arg(source).arg(format!("O={}", build.display()));
    make.env("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970");
    make.env("KBUILD_BUILD_USER", "holdfast").env("KBUILD_BUILD_HOST", "holdfast");
    make.env("KBUILD_BUILD_VERSION", "1").env("LC_ALL", "C");
    // A make above us must not hand its jobs or flags down.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS");
    make
}
