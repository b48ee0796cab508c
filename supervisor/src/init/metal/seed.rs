//! Randomness carried from one run to the next: mixed into the kernel's pool, never counted as
//! entropy (an image that was copied carries the same seed), and replaced before anything uses it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{Mode, OFlags};

use crate::console::say;

const FILE: &str = "/data/holdfast/seed";
const NEW: &str = "/data/holdfast/seed.new";
const POOL: &str = "/dev/urandom";
/// What the kernel's pool can hold.
const SEED_BYTES: usize = 32;

/// At the start: mixes the old seed in and puts a new one in its place at once.
pub(crate) fn carry() {
    if let Ok(seed) = fs::read(FILE) {
        // A write to the pool is mixed in and credits nothing.
        let _ = fs::OpenOptions::new().write(true).open(POOL).map(|mut pool| {
            let _ = pool.write_all(&seed[..seed.len().min(SEED_BYTES)]);
        });
    }
    if let Err(error) = replace() {
        say!("cannot keep a seed for the next start: {error}");
    }
}

fn replace() -> std::io::Result<()> {
    let mut seed = [0; SEED_BYTES];
    std::io::Read::read_exact(&mut fs::File::open(POOL)?, &mut seed)?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(NEW)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    fs::rename(NEW, FILE)?;
    fs::File::open("/data/holdfast")?.sync_all()
}

/// At the end, in a child that may not allocate: the pool has gathered more by now. In place: a
/// seed that is half old and half new is as good.
pub(crate) fn save() {
    let mut seed = [0; SEED_BYTES];
    let flags = OFlags::CLOEXEC;
    let drawn = rustix::fs::open(POOL, flags | OFlags::RDONLY, Mode::empty())
        .and_then(|pool| rustix::io::read(pool, &mut seed));
    if drawn != Ok(SEED_BYTES) {
        return;
    }
    if let Ok(file) = rustix::fs::open(FILE, flags | OFlags::WRONLY, Mode::empty()) {
        let _ = rustix::io::write(&file, &seed);
        let _ = rustix::fs::fsync(&file);
    }
}
