//! `backup` and `restore`: the agent does both, except for a copy to a place of the caller's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::ask::Whom;
use super::words::{Words, only, unknown};
use super::{Outcome, fail, print};
use crate::backup::copy::copy_with_facts;
use crate::backup::store::{RESERVE_BYTES, Size, free_bytes, stamp};
use crate::backup::unix_ms;

pub(super) fn backup(mut words: Words) -> Outcome {
    let (mut whom, mut to, mut list) = (Whom::default(), None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            "--to" => to = Some(words.value::<PathBuf>()?),
            "--list" => list = true,
            other => return Err(unknown(other)),
        }
    }
    Ok(match to {
        _ if list => whom.converse("backups"),
        None => whom.converse("backup"),
        Some(to) => backup_to(&whom, &to).unwrap_or_else(|code| code),
    })
}

/// With the caller's rights, which may reach where the agent's do not.
fn backup_to(whom: &Whom, to: &Path) -> Result<ExitCode, ExitCode> {
    let dump = PathBuf::from(whom.fetch("save")?);
    let now = unix_ms();
    let to =
        if to.is_dir() { to.join(format!("backup-{}.rdb", stamp(now))) } else { to.to_owned() };
    copy(&dump, &to, now).map_err(|why| fail(&why))
}

fn copy(dump: &Path, to: &Path, now: u64) -> Result<ExitCode, String> {
    let bytes = fs::metadata(dump).map_err(|error| format!("{}: {error}", dump.display()))?.len();
    let directory = to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let free =
        free_bytes(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    if free < bytes.saturating_add(RESERVE_BYTES) {
        let (bytes, free) = (Size(bytes), Size(free));
        return Err(format!("no room in {}: {bytes} needed, {free} free", directory.display()));
    }
    let facts = copy_with_facts(dump, to, now)?;
    let (to, size) = (to.display(), Size(facts.bytes));
    Ok(print(&format!("{to}: {} keys, {size}, verified\n", facts.keys)))
}

pub(super) fn restore(mut words: Words) -> Outcome {
    let (mut whom, mut file) = (Whom::default(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            other => only(&mut file, other)?,
        }
    }
    let file = file.ok_or("restore needs the file of a backup")?;
    Ok(match fs::canonicalize(&file) {
        Ok(path) => whom.converse(&format!("restore {}", path.display())),
        Err(error) => fail(&format!("{file}: {error}")),
    })
}
