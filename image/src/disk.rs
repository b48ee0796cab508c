//! The disk to flash: GPT, an EFI system partition with the UKI, an empty data partition.
//!
//! ```text
//!  0      1 MiB                65 MiB                        -1 MiB
//!  │ GPT  │ holdfast-esp, FAT32 │ holdfast-data, all zeros   │ GPT's copy │
//! ```
//!
//! init finds the data partition by its name, puts ext4 on it when it is blank, and grows that to
//! the partition's size. All names, numbers and times are constants: same UKI, same disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use gpt::GptConfig;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{self, Type};

use crate::blank_ext4;
use crate::packages::ensure_packages;
use crate::process::output;

const MIB: u64 = 1024 * 1024;
const SECTOR: u64 = 512;

/// Where the first partition begins, and what is left free for the table's copy.
const EDGE: u64 = MIB;

/// Room for two UKIs, and FAT32's 65,525 clusters.
const ESP: u64 = 64 * MIB;

/// The data partition, unless asked otherwise.
pub const DATA_MIB: u64 = 256;

const DISK_GUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57d15c";
const ESP_GUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a570e50";
const DATA_GUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57da7a";

/// The first moment that FAT can tell: 1980-01-01 00:00:00 UTC.
const EPOCH: u64 = 315_532_800;

/// Writes the disk with `uki` on it to `out`, whole or not at all.
pub fn write(out: &Path, uki: &[u8], data_mib: u64) -> Result<()> {
    ensure_packages(&["mtools"])?;
    let data = data_mib.saturating_mul(MIB);
    if data < blank_ext4::SIZE {
        bail!(
            "a data partition of {data_mib} MiB is too small: {} at least",
            blank_ext4::SIZE / MIB
        );
    }
    if uki.len() as u64 > ESP - 4 * MIB {
        bail!("an EFI file of {} bytes does not fit the {} MiB partition", uki.len(), ESP / MIB);
    }
    let dir = out.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("cannot write the disk {}", out.display());
    let image = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(context)?;
    image.as_file().set_len(EDGE + ESP + data + EDGE).with_context(context)?;
    partition(image.as_file(), data).with_context(context)?;
    fill_esp(image.path(), uki).with_context(context)?;
    image.persist(out).with_context(context)?;
    Ok(())
}

fn partition(image: &File, data: u64) -> Result<()> {
    let mut image = image;
    let sectors = u32::try_from((EDGE + ESP + data + EDGE) / SECTOR).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors - 1).overwrite_lba0(&mut image)?;
    let mut table = GptConfig::new()
        .writable(true)
        .create_from_device(Box::new(image.try_clone()?), Some(DISK_GUID.parse()?))?;
    let parts = BTreeMap::from([
        (1, part("holdfast-esp", ESP_GUID, partition_types::EFI, EDGE, ESP)?),
        (2, part("holdfast-data", DATA_GUID, partition_types::LINUX_FS, EDGE + ESP, data)?),
    ]);
    table.update_partitions(parts)?;
    table.write()?;
    Ok(())
}

fn part(name: &str, guid: &str, kind: Type, at: u64, len: u64) -> Result<Partition> {
    Ok(Partition {
        part_type_guid: kind,
        part_guid: guid.parse()?,
        first_lba: at / SECTOR,
        last_lba: (at + len) / SECTOR - 1,
        flags: 0,
        name: name.to_owned(),
    })
}

/// Makes the FAT and copies the UKI to where firmware looks on a disk it has never seen.
fn fill_esp(image: &Path, uki: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a scratch file")?;
    file.write_all(uki).context("cannot write a scratch file")?;
    file.as_file().set_modified(UNIX_EPOCH + Duration::from_secs(EPOCH))?;

    let at = format!("{}@@{EDGE}", image.display());
    let sectors = (ESP / SECTOR).to_string();
    let hidden = (EDGE / SECTOR).to_string();
    let mut format = mtool("mformat", &at);
    format.args(["-T", &sectors, "-H", &hidden, "-h", "64", "-s", "32", "-c", "1", "-F"]);
    output(format.args(["-N", "0F3E0001", "-v", "HOLDFAST", "::"]))?;
    output(mtool("mmd", &at).args(["::/EFI", "::/EFI/BOOT"]))?;
    output(mtool("mcopy", &at).arg("-m").arg(file.path()).arg("::/EFI/BOOT/BOOTX64.EFI"))?;
    Ok(())
}

fn mtool(name: &str, image: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
        .env("TZ", "UTC")
        .env("MTOOLSRC", "/dev/null");
    command.args(["-i", image]);
    command
}
