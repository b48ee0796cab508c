//! A slot: a small FAT that holds the whole system as one file, where firmware looks for it on a disk
//! that it has never seen. The same bytes serve as slot A, slot B and the body of an update.
//!
//! All names, numbers and times are constants: same UKI, same bytes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::packages::ensure_packages;
use crate::process::output;

const MIB: u64 = 1024 * 1024;
const SECTOR: u64 = 512;

/// About the least that FAT32 can be (65,525 clusters of a sector), and room for three UKIs of ours.
/// FAT16 could be smaller, but some firmware takes it from removable media only.
pub const BYTES: u64 = 34 * MIB;

/// What the two tables, the root directory and what lies before them take, and some.
const OVERHEAD: u64 = 2 * MIB;

/// The first moment that FAT can tell: 1980-01-01 00:00:00 UTC.
const EPOCH: u64 = 315_532_800;

/// The FAT with `uki` in it, without the zeros behind the last byte in use. Whole sectors.
pub fn image(uki: &[u8]) -> Result<Vec<u8>> {
    ensure_packages(&["mtools"])?;
    if uki.len() as u64 > BYTES - OVERHEAD {
        bail!("an EFI file of {} bytes does not fit a slot of {} MiB", uki.len(), BYTES / MIB);
    }
    let fat = tempfile::NamedTempFile::new().context("cannot make a scratch file")?;
    fat.as_file().set_len(BYTES).context("cannot make a scratch file")?;
    fill(fat.path(), uki)?;
    let mut image = fs::read(fat.path()).context("cannot read a scratch file")?;
    let used = image.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    image.truncate(used.next_multiple_of(SECTOR as usize));
    Ok(image)
}

fn fill(fat: &Path, uki: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a scratch file")?;
    file.write_all(uki).context("cannot write a scratch file")?;
    file.as_file().set_modified(UNIX_EPOCH + Duration::from_secs(EPOCH))?;

    let sectors = (BYTES / SECTOR).to_string();
    let mut format = mtool("mformat", fat);
    format.args(["-T", &sectors, "-h", "64", "-s", "32", "-c", "1", "-F"]);
    output(format.args(["-N", "0F3E0001", "-v", "HOLDFAST", "::"]))?;
    output(mtool("mmd", fat).args(["::/EFI", "::/EFI/BOOT"]))?;
    output(mtool("mcopy", fat).arg("-m").arg(file.path()).arg("::/EFI/BOOT/BOOTX64.EFI"))?;
    Ok(())
}

fn mtool(name: &str, fat: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
        .env("TZ", "UTC")
        .env("MTOOLSRC", "/dev/null");
    command.arg("-i").arg(fat);
    command
}
