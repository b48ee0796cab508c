//! The static programs that ship, built once whoever asks: the tool, or many tests at a time.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::oci::sha256;
use crate::packages::ensure_packages;
use crate::paths;
use crate::process::{say, stream};

/// The one target of this tool. Everything that names an architecture starts here.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What cargo builds.
const PROGRAMS: [&str; 4] = ["-p", "holdfast-server", "-p", "holdfast-supervisor"];

/// Crates between two lines of progress.
const SAY_EVERY: usize = 10;

/// The three programs of the house.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub init: PathBuf,
    pub agent: PathBuf,
    pub server: PathBuf,
}

impl Binaries {
    const NAMES: [&str; 3] = ["holdfast-init", "holdfast-agent", "holdfast-server"];

    fn in_dir(dir: &Path) -> Self {
        let [init, agent, server] = Self::NAMES.map(|name| dir.join(name));
        Self { init, agent, server }
    }

    fn check(self) -> Result<Self> {
        for file in [&self.init, &self.agent, &self.server] {
            if !file.is_file() {
                bail!("{} is missing", file.display());
            }
        }
        Ok(self)
    }
}

/// The programs as they ship. `HOLDFAST_BIN_DIR` names a directory of ready ones instead.
pub fn static_binaries() -> Result<Binaries> {
    if let Some(dir) = env::var_os("HOLDFAST_BIN_DIR") {
        return Binaries::in_dir(Path::new(&dir)).check().context("HOLDFAST_BIN_DIR");
    }
    build("shipped", &[])
}

/// The same with init and agent built for tests: the features `test-hooks`, off in what ships, and
/// `trap-alloc`, with which PID 1 ends at its first allocation after start-up.
pub fn binaries_with_test_hooks() -> Result<Binaries> {
    if env::var_os("HOLDFAST_BIN_DIR").is_some() {
        bail!("HOLDFAST_BIN_DIR holds what ships, not what tests need: unset it");
    }
    let hooks = "holdfast-supervisor/test-hooks,holdfast-supervisor/trap-alloc";
    build("with-test-hooks", &["--features", hooks])
}

/// Builds the programs with `more` words for cargo. Both kinds share what they depend on, so both come
/// out at the same place; each is kept below `kind`.
fn build(kind: &str, more: &[&str]) -> Result<Binaries> {
    let kept = paths::scratch()?.join("programs").join(kind);
    let _one_at_a_time = paths::lock("binaries")?;
    let target = paths::target();
    keep(&cargo_build(&target, &shipped_flags()?, &[&PROGRAMS, more].concat())?, &kept)?;
    Binaries::in_dir(&kept).check()
}

/// The server with counters at its branches. It writes them below `counts` when it exits. Built among
/// the same packages as the one that ships: what others need of a crate is part of its functions' names.
pub fn counting_server(counts: &Path) -> Result<PathBuf> {
    let flags = ["-Ctarget-feature=+crt-static".into(), joined("-Cprofile-generate=", counts)];
    let target = paths::scratch()?.join("counting");
    let built =
        cargo_build(&target, &flags, &[&PROGRAMS[..], &["--bin", "holdfast-server"]].concat())?;
    Ok(built.join("holdfast-server"))
}

/// Links the programs of `built` into `kept`. One that runs meanwhile goes on with its own file.
fn keep(built: &Path, kept: &Path) -> Result<()> {
    fs::create_dir_all(kept).with_context(|| format!("cannot make {}", kept.display()))?;
    for name in Binaries::NAMES {
        let new = kept.join(format!("{name}.new"));
        let put = || {
            remove_if_there(&new)?;
            fs::hard_link(built.join(name), &new)?;
            fs::rename(&new, kept.join(name))?;
            // Where both are one file already, rename(2) leaves it.
            remove_if_there(&new)
        };
        put().with_context(|| format!("cannot put {name} into {}", kept.display()))?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn cargo_build(target: &Path, flags: &[OsString], words: &[&str]) -> Result<PathBuf> {
    // The allocator's C sources and the static C library.
    ensure_packages(&["gcc", "libc6-dev", "make"])?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::workspace());
    // Unlike RUSTFLAGS it may have paths with spaces.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
    cargo.args(["build", "--release", "--target", TARGET, "--target-dir"]).arg(target);
    cargo.args(words);
    let mut crates = 0;
    stream(&mut cargo, |line| {
        let line = line.trim();
        if !line.starts_with("Compiling ") {
            return;
        }
        crates += 1;
        if crates == 1 {
            say(format!("building the static binaries ({TARGET}); minutes the first time"));
        }
        if crates % SAY_EVERY == 0 || line.starts_with("Compiling holdfast") {
            say(format!("  {crates:3} {line}"));
        }
    })
    .context("the static binaries do not build")?;
    if crates > 0 {
        say("static binaries are ready");
    }
    Ok(target.join(TARGET).join("release"))
}

/// How every program that ships is compiled and linked; buildroot/ does it with the same.
///
/// * Static.
/// * No unwinding tables in programs that abort when they panic, and no tables that say how to find
///   those; relocations as bitmaps, a tenth of their size (glibc applies such from 2.36 on). The
///   script's path is relative to the workspace, where cargo starts the linker.
/// * Functions are inlined where that is small (LLVM's limits for `-Os`), or where `#[inline]` asks for
///   it, as in all that commands go through: 0.8 MB of the server.
/// * `aes` opens private keys that have a password, once a start: without code for each kind of
///   processor. Where a processor has no instructions for SHA-2, `sha2` does it in loops.
pub(crate) const FLAGS: &str = "-C target-feature=+crt-static \
    -C link-arg=-Wl,-T,image/link/no-unwinding.ld \
    -C link-arg=-Wl,--no-eh-frame-hdr \
    -C link-arg=-Wl,-z,pack-relative-relocs \
    -C llvm-args=-inline-threshold=50 \
    -C llvm-args=-inlinecold-threshold=45 \
    --cfg aes_backend=\"soft\" --cfg aes_backend_soft=\"compact\" \
    --cfg sha2_backend_soft=\"compact\"";

/// What only LLD, Rust's own linker for this target, can do: functions whose code is the same are kept
/// once (35 KB of the server). Nothing of ours tells functions apart by their addresses, and the tests run
/// what was folded.
const LLD_FLAGS: &str = "-C link-arg=-Wl,--icf=all";

/// How [`profile`] is used.
///
/// * Calls that are executed often are inlined up to a sixth of LLVM's usual size: beyond it the server
///   grows and is no faster.
/// * Functions that were changed since they were counted are compiled as if nobody had: no warning.
const PROFILE_FLAGS: &str = "-C llvm-args=-hot-callsite-threshold=500 \
    -C llvm-args=-locally-hot-callsite-threshold=50 \
    -C llvm-args=-no-pgo-warn-mismatch";

/// How often each branch of the server is taken, by which LLVM inlines, lays out and keeps small:
/// `cargo run -p holdfast-tests --bin train` counts anew. It holds for one release of the compiler: another
/// gives functions other names, and compiles them as if nobody had counted.
pub fn profile() -> PathBuf {
    paths::workspace().join("image/profile/server.profdata")
}

/// [`FLAGS`], [`LLD_FLAGS`] and [`PROFILE_FLAGS`], and without this machine's paths, so that another
/// machine makes the same bytes.
fn shipped_flags() -> Result<Vec<OsString>> {
    let words = [FLAGS, LLD_FLAGS, PROFILE_FLAGS].into_iter().flat_map(str::split_whitespace);
    let mut flags: Vec<OsString> = words.map(OsString::from).collect();
    let profile = profile();
    let counted = fs::read(&profile).with_context(|| profile.display().to_string())?;
    flags.push(joined("-Cprofile-use=", &profile));
    // Cargo would not compile others' crates anew for another profile behind the same name.
    flags.push(format!("--cfg=profile=\"{}\"", sha256(&counted)).into());
    let home = env::var_os("CARGO_HOME")
        .or_else(|| env::var_os("HOME").map(|h| Path::new(&h).join(".cargo").into()));
    let places = [
        home.map(|home| (PathBuf::from(home), "=/cargo")),
        Some((paths::workspace(), "=/holdfast")),
    ];
    for (from, to) in places.into_iter().flatten() {
        let mut remap = joined("--remap-path-prefix=", &from);
        remap.push(to);
        flags.push(remap);
    }
    Ok(flags)
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(option);
    flag.push(path);
    flag
}
