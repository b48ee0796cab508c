//! A copy that is what it was copied from: read as RDB on the way, synced, and read again from the
//! disk before it gets its name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use super::rdb::{self, Contents};
use super::store::{Facts, write_sidecar};
use crate::files::{sync_parent, temporary};

/// A backup with its sidecar, which is there first: `to` exists only if the copy is good.
pub(crate) fn copy_with_facts(from: &Path, to: &Path, now_unix_ms: u64) -> Result<Facts, String> {
    let mut facts = None;
    copy(from, to, now_unix_ms, |contents| {
        write_sidecar(to, facts.insert(Facts::new(contents, now_unix_ms)))
    })?;
    Ok(facts.expect("made before the copy has its name"))
}

/// Calls `before_name` when the copy is proven and not named yet.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    now_unix_ms: u64,
    before_name: impl FnOnce(&Contents) -> io::Result<()>,
) -> Result<Contents, String> {
    let temporary = temporary(to);
    let copied = copy_to(from, &temporary, now_unix_ms).and_then(|contents| {
        let named = before_name(&contents)
            .and_then(|()| fs::rename(&temporary, to))
            .and_then(|()| sync_parent(to));
        named.map_err(|error| format!("{}: {error}", to.display()))?;
        Ok(contents)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    copied
}

fn copy_to(from: &Path, to: &Path, now: u64) -> Result<Contents, String> {
    let of = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let input = File::open(from).map_err(|error| of(from, &error))?;
    let mut output = File::create(to).map_err(|error| of(to, &error))?;
    let tee = Tee { input, output: &mut output };
    let read = rdb::read(tee, now).map_err(|fault| format!("{} {fault}", from.display()))?;
    output.sync_all().map_err(|error| of(to, &error))?;
    // Out of the page cache, so that the second reading is the disk's.
    let _ = fadvise(&output, 0, None, Advice::DontNeed);
    let again = verify(to, now)?;
    if again == read { Ok(read) } else { Err(of(to, &"the disk gives back other bytes")) }
}

/// What a file holds, or what is wrong with it.
pub(crate) fn verify(path: &Path, now_unix_ms: u64) -> Result<Contents, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    rdb::read(file, now_unix_ms).map_err(|fault| format!("{} {fault}", path.display()))
}

/// Writes what it reads.
struct Tee<'f> {
    input: File,
    output: &'f mut File,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let written = self.output.write_all(&buffer[..read]);
        written.map_err(|error| io::Error::new(error.kind(), format!("while copying: {error}")))?;
        Ok(read)
    }
}
