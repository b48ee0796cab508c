//! The disk to flash: GPT, two slots with the UKI in each, an empty data partition.
//!
//! ```text
//!  0      1 MiB        35 MiB        69 MiB                        -1 MiB
//!  │ GPT  │ holdfast-a │ holdfast-b │ holdfast-data, all zeros   │ GPT's copy │
//! ```
//!
//! Both slots are EFI system partitions, so that firmware which has lost its variables, or a slot,
//! still finds something to start. An update is written to the one that does not run.
//!
//! init finds the data partition by its name, puts ext4 on it when it is blank, and grows that to
//! the partition's size. All names, numbers and times are constants: same UKI, same disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gpt::GptConfig;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{self, Type};

use crate::blank_ext4;
use crate::slot;

const MIB: u64 = 1024 * 1024;
const SECTOR: u64 = 512;

/// Where the first partition begins, and what is left free for the table's copy.
const EDGE: u64 = MIB;

/// Where the slots begin.
pub const SLOTS_AT: [u64; 2] = [EDGE, EDGE + slot::BYTES];

/// Where the data partition begins.
pub const DATA_AT: u64 = EDGE + 2 * slot::BYTES;

/// The data partition, unless asked otherwise.
pub const DATA_MIB: u64 = 256;

const DISK_GUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57d15c";
const SLOT_GUIDS: [&str; 2] =
    ["5a1d6c3e-68f5-4f0b-9c11-6f1d0a57510a", "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57510b"];
const DATA_GUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57da7a";

/// Writes the disk with `uki` on it to `out`, whole or not at all.
pub fn write(out: &Path, uki: &[u8], data_mib: u64) -> Result<()> {
    let data = data_mib.saturating_mul(MIB);
    if data < blank_ext4::SIZE {
        bail!(
            "a data partition of {data_mib} MiB is too small: {} at least",
            blank_ext4::SIZE / MIB
        );
    }
    let slot = slot::image(uki)?;
    let dir = out.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("cannot write the disk {}", out.display());
    let image = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(context)?;
    image.as_file().set_len(DATA_AT + data + EDGE).with_context(context)?;
    partition(image.as_file(), data).with_context(context)?;
    for at in SLOTS_AT {
        image.as_file().write_all_at(&slot, at).with_context(context)?;
    }
    image.persist(out).with_context(context)?;
    Ok(())
}

fn partition(image: &File, data: u64) -> Result<()> {
    let mut image = image;
    let sectors = u32::try_from((DATA_AT + data + EDGE) / SECTOR).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors - 1).overwrite_lba0(&mut image)?;
    let mut table = GptConfig::new()
        .writable(true)
        .create_from_device(Box::new(image.try_clone()?), Some(DISK_GUID.parse()?))?;
    let slot = |name, index: usize| {
        part(name, SLOT_GUIDS[index], partition_types::EFI, SLOTS_AT[index], slot::BYTES)
    };
    let parts = BTreeMap::from([
        (1, slot("holdfast-a", 0)?),
        (2, slot("holdfast-b", 1)?),
        (3, part("holdfast-data", DATA_GUID, partition_types::LINUX_FS, DATA_AT, data)?),
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
