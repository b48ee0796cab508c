//! Which partition is ours, and letting it have the rest of its disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use holdfast_supervisor::efi;

use super::gpt::{self, Table, Write};
use crate::console::say;
use crate::sys;

const PARTITION_NAME: &str = "PARTNAME=holdfast-data";
const CLASS: &str = "/sys/class/block";
/// What sysfs counts sizes in, whatever the disk's own sectors are.
const SYSFS_SECTOR_BYTES: u64 = 512;

pub(super) fn look() -> Option<PathBuf> {
    fs::read_dir(CLASS).ok()?.flatten().find_map(|entry| {
        let uevent = fs::read_to_string(entry.path().join("uevent")).ok()?;
        let ours = uevent.lines().any(|line| line == PARTITION_NAME);
        let device = Path::new("/dev").join(entry.file_name());
        (ours && device.exists()).then_some(device)
    })
}

/// A partition, and where its table says that it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub device: PathBuf,
    /// In sysfs: the same for all partitions of a disk.
    pub disk: PathBuf,
    pub place: efi::Partition,
}

/// All that have this name, on whatever disk.
pub(super) fn named(name: &str) -> Vec<Placed> {
    let wanted = format!("PARTNAME={name}");
    let entries = fs::read_dir(CLASS).into_iter().flatten().flatten();
    let placed = entries.filter_map(|entry| {
        let uevent = fs::read_to_string(entry.path().join("uevent")).ok()?;
        uevent.lines().any(|line| line == wanted).then(|| place(&entry.path()).ok()).flatten()
    });
    placed.collect()
}

fn place(class: &Path) -> io::Result<Placed> {
    let odd = || io::Error::from(io::ErrorKind::InvalidData);
    let device = Path::new("/dev").join(class.file_name().ok_or_else(odd)?);
    let about = fs::canonicalize(class)?;
    let disk = about.parent().ok_or_else(odd)?.to_owned();
    let sector_bytes = number(&disk.join("queue/logical_block_size"))?.max(SYSFS_SECTOR_BYTES);
    let mut file = File::open(Path::new("/dev").join(disk.file_name().ok_or_else(odd)?))?;
    let table = table_at(&mut file, 1, sector_bytes)?.ok_or_else(odd)?;
    let place = table.place(number(&about.join("partition"))? as usize).ok_or_else(odd)?;
    Ok(Placed { device, disk, place })
}

/// Before the mount: a table in use cannot be read again.
pub(super) fn grow(device: &Path) {
    match try_grow(device) {
        Ok(true) => say!("data: {} has the rest of its disk now", device.display()),
        Ok(false) => {}
        Err(error) => say!("data: {} keeps its size: {error}", device.display()),
    }
}

fn try_grow(device: &Path) -> io::Result<bool> {
    let name = device.file_name().unwrap_or_default();
    let about = fs::canonicalize(Path::new(CLASS).join(name))?;
    let Ok(index) = number(&about.join("partition")) else {
        // A whole disk with that name has no table to grow in.
        return Ok(false);
    };
    let Some(disk) = about.parent() else { return Ok(false) };
    let sector_bytes = number(&disk.join("queue/logical_block_size"))?.max(SYSFS_SECTOR_BYTES);
    let sectors = number(&disk.join("size"))? * SYSFS_SECTOR_BYTES / sector_bytes;
    let path = Path::new("/dev").join(disk.file_name().unwrap_or_default());
    let mut file = File::options().read(true).write(true).open(path)?;
    let Some(writes) = writes(&mut file, index as usize, sectors, sector_bytes)? else {
        return Ok(false);
    };
    carry_out(&mut file, &writes, sector_bytes)?;
    sys::disk::read_partitions(file.as_fd())?;
    Ok(true)
}

fn writes(
    disk: &mut File,
    index: usize,
    sectors: u64,
    sector_bytes: u64,
) -> io::Result<Option<Vec<Write>>> {
    if let Some(table) = table_at(disk, 1, sector_bytes)? {
        let writes = table.grow(index, sectors, sector_bytes);
        return Ok((!writes.is_empty()).then_some(writes));
    }
    // The kernel found the partition, so the copy is whole: a growth was cut short.
    let copy = table_at(disk, sectors.saturating_sub(1), sector_bytes)?;
    Ok(copy.map(|copy| copy.restore()))
}

fn table_at(disk: &mut File, sector: u64, sector_bytes: u64) -> io::Result<Option<Table>> {
    let header = read(disk, sector * sector_bytes, sector_bytes as usize)?;
    let Some(place) = gpt::entries_of(&header) else { return Ok(None) };
    let entries = read(disk, place.sector.saturating_mul(sector_bytes), place.bytes)?;
    Ok(Table::new(&header, &entries))
}

/// Each is on the disk before the next begins.
fn carry_out(disk: &mut File, writes: &[Write], sector_bytes: u64) -> io::Result<()> {
    for write in writes {
        disk.seek(SeekFrom::Start(write.sector * sector_bytes))?;
        disk.write_all(&write.bytes)?;
        disk.sync_all()?;
    }
    Ok(())
}

fn read(disk: &mut File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    disk.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; len];
    disk.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn number(file: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a number"))
}
