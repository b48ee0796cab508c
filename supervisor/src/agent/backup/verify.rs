//! What is to be said of a file that may be a backup.

use std::path::Path;

use super::store::{Size, read_sidecar};
use super::{copy, unix_ms};

/// `look_into` has every value looked at, or says that it cannot.
pub(crate) fn verify(
    file: &Path,
    look_into: impl FnOnce(&Path) -> Result<bool, String>,
) -> Result<String, String> {
    let contents = copy::verify(file, unix_ms())?;
    let sidecar = read_sidecar(file);
    if let Some(facts) = &sidecar {
        facts.agree(&contents).map_err(|why| format!("{} {why}", file.display()))?;
    }
    let looked_into = look_into(file)?;
    let (name, keys, size) = (file.display(), contents.keys, Size(contents.bytes));
    let mut said = format!("{name}: good: {keys} keys, {size}, SHA-256 {}\n", contents.sha256);
    let without = [
        (contents.checksummed, "the file has no checksum of its own"),
        (sidecar.is_some(), "there is no sidecar to compare it with"),
        (looked_into, "the server's checker is not here: values were not looked into"),
    ];
    for (_, what) in without.into_iter().filter(|(has, _)| !has) {
        said += &format!("note: {what}\n");
    }
    Ok(said)
}
