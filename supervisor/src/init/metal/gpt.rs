//! Growing the data partition to the end of its disk: an image is flashed to a larger disk, or a
//! virtual disk was made larger.
//!
//! ```text
//!  header, one sector                              entry, 128 bytes
//!    8  "EFI PART"        8  its own sector         16  type   16  unique id
//!   12  its length        8  the other header's      8  first sector
//!   16  CRC-32 of it     40  first usable sector     8  last sector
//!                        48  last usable sector      …  attributes, name
//!   72  the entries' first sector    80  their number    84  bytes of one    88  their CRC-32
//! ```
//!
//! The copy at the end goes first, then the entries, then the header: whatever a power cut leaves, one
//! of the two tables is whole, and both begin the partition where its data begins. Source: UEFI 2.10,
//! 5.3.

use holdfast_supervisor::efi::Partition;

/// Partitions begin and end at multiples of this, as partitioning tools have it.
const ALIGNMENT: u64 = 1 << 20;
/// Less is not worth a write of the table.
const LEAST_GAIN: u64 = 1 << 20;
const HEADER_BYTES: usize = 92;
/// 128 entries of 128 bytes are usual; four times that is still somebody's idea.
pub(super) const MAX_ENTRIES_BYTES: usize = 64 << 10;

/// A table that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    header: Vec<u8>,
    entries: Vec<u8>,
}

/// Where the entries of a header are; nothing if it is no header, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub sector: u64,
    pub bytes: usize,
}

/// One write: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub sector: u64,
    pub bytes: Vec<u8>,
}

pub(super) fn entries_of(header: &[u8]) -> Option<Place> {
    let length = number(header, 12, 4)? as usize;
    if !header.starts_with(b"EFI PART") || !(HEADER_BYTES..=header.len()).contains(&length) {
        return None;
    }
    let mut summed = header.get(..length)?.to_vec();
    put(&mut summed, 16, 4, 0);
    if u64::from(crc32fast::hash(&summed)) != number(header, 16, 4)? {
        return None;
    }
    let bytes = number(header, 80, 4)?.checked_mul(number(header, 84, 4)?)?;
    let bytes =
        usize::try_from(bytes).ok().filter(|bytes| (1..=MAX_ENTRIES_BYTES).contains(bytes))?;
    Some(Place { sector: number(header, 72, 8)?, bytes })
}

impl Table {
    pub(super) fn new(header: &[u8], entries: &[u8]) -> Option<Self> {
        let whole = u64::from(crc32fast::hash(entries)) == number(header, 88, 4)?;
        whole.then(|| Self { header: header.to_vec(), entries: entries.to_vec() })
    }

    /// Where partition `number` (from 1) is, as firmware names it.
    pub(super) fn place(&self, number: usize) -> Option<Partition> {
        let size = self::number(&self.header, 84, 4)? as usize;
        let entry = self.entries.chunks(size.max(1)).nth(number.checked_sub(1)?)?;
        let (first, last) = (self::number(entry, 32, 8)?, self::number(entry, 40, 8)?);
        Some(Partition {
            number: number as u32,
            first_sector: first,
            sectors: last.checked_sub(first)?.checked_add(1)?,
            id: entry.get(16..32)?.try_into().ok()?,
        })
    }

    /// The writes that let partition `number` (from 1) end where the disk ends, in order; none when
    /// it does so already, or is not the last.
    pub(super) fn grow(&self, partition: usize, sectors: u64, sector_bytes: u64) -> Vec<Write> {
        self.try_grow(partition, sectors, sector_bytes).unwrap_or_default()
    }

    fn try_grow(&self, partition: usize, sectors: u64, sector_bytes: u64) -> Option<Vec<Write>> {
        let size = number(&self.header, 84, 4)? as usize;
        let at = partition.checked_sub(1)?.checked_mul(size)?;
        let (first, last) =
            (number(&self.entries, at + 32, 8)?, number(&self.entries, at + 40, 8)?);
        let begins = |entry: &[u8]| number(entry, 32, 8).unwrap_or(u64::MAX);
        let behind = self.entries.chunks(size).filter(|entry| !is_unused(entry)).map(begins);
        if last < first || behind.max()? != first {
            return None;
        }
        let table_sectors = (self.entries.len() as u64).div_ceil(sector_bytes);
        let last_usable = sectors.checked_sub(table_sectors + 2)?;
        let aligned = (last_usable + 1) * sector_bytes / ALIGNMENT * ALIGNMENT / sector_bytes;
        let new_last = aligned.checked_sub(1)?;
        if new_last.saturating_sub(last).saturating_mul(sector_bytes) < LEAST_GAIN {
            return None;
        }
        let mut entries = self.entries.clone();
        put(&mut entries, at + 40, 8, new_last);
        let copy_at = last_usable + 1;
        let header = |own, other, entries_at| {
            let mut header = self.header.clone();
            put(&mut header, 24, 8, own);
            put(&mut header, 32, 8, other);
            put(&mut header, 48, 8, last_usable);
            put(&mut header, 72, 8, entries_at);
            seal(&mut header, &entries);
            header
        };
        let (primary, copy) = (header(1, sectors - 1, 2), header(sectors - 1, 1, copy_at));
        Some(vec![
            Write { sector: copy_at, bytes: entries.clone() },
            Write { sector: sectors - 1, bytes: copy },
            Write { sector: 2, bytes: entries },
            Write { sector: 1, bytes: primary },
        ])
    }

    /// The writes that put this table, found at the disk's end, back to its beginning.
    pub(super) fn restore(&self) -> Vec<Write> {
        let mut header = self.header.clone();
        let own = number(&header, 24, 8).unwrap_or(0);
        put(&mut header, 24, 8, 1);
        put(&mut header, 32, 8, own);
        put(&mut header, 72, 8, 2);
        seal(&mut header, &self.entries);
        let entries = Write { sector: 2, bytes: self.entries.clone() };
        vec![entries, Write { sector: 1, bytes: header }]
    }
}

fn is_unused(entry: &[u8]) -> bool {
    entry.iter().take(16).all(|&byte| byte == 0)
}

fn seal(header: &mut [u8], entries: &[u8]) {
    put(header, 88, 4, u64::from(crc32fast::hash(entries)));
    put(header, 16, 4, 0);
    let length = (number(header, 12, 4).unwrap_or(0) as usize).min(header.len());
    let sum = crc32fast::hash(&header[..length]);
    put(header, 16, 4, u64::from(sum));
}

/// Little-endian.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn put(bytes: &mut [u8], at: usize, len: usize, value: u64) {
    for (place, byte) in bytes.iter_mut().skip(at).take(len).zip(value.to_le_bytes()) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 512;
    const FIRST: u64 = 4096;

    /// A disk with two partitions, of which the second ends shortly before `sectors`.
    fn disk(sectors: u64) -> Vec<u8> {
        let mut entries = vec![0; 128 * 128];
        for (at, (first, last)) in
            [(2048, FIRST - 1), (FIRST, sectors - 2049)].into_iter().enumerate()
        {
            entries[at * 128] = 1;
            put(&mut entries, at * 128 + 32, 8, first);
            put(&mut entries, at * 128 + 40, 8, last);
        }
        let mut header = vec![0; SECTOR];
        header[..8].copy_from_slice(b"EFI PART");
        for (at, len, value) in
            [(12, 4, 92), (24, 8, 1), (32, 8, sectors - 1), (48, 8, sectors - 34)]
                .into_iter()
                .chain([(72, 8, 2), (80, 4, 128), (84, 4, 128)])
        {
            put(&mut header, at, len, value);
        }
        seal(&mut header, &entries);
        let mut disk = vec![0; sectors as usize * SECTOR];
        disk[SECTOR..2 * SECTOR].copy_from_slice(&header);
        disk[2 * SECTOR..2 * SECTOR + entries.len()].copy_from_slice(&entries);
        disk
    }

    fn table_at(disk: &[u8], sector: usize) -> Option<Table> {
        let header = disk.get(sector * SECTOR..(sector + 1) * SECTOR)?;
        let place = entries_of(header)?;
        let at = place.sector as usize * SECTOR;
        Table::new(header, disk.get(at..at + place.bytes)?)
    }

    fn second(table: &Table) -> (u64, u64) {
        let field = |at: usize| number(&table.entries, 128 + at, 8).unwrap();
        (field(32), field(40))
    }

    #[test]
    fn whatever_a_power_cut_leaves_a_whole_table_begins_the_data_where_it_was() {
        let (old, new) = (12_288, 20_000);
        let mut image = disk(old);
        image.resize(new as usize * SECTOR, 0);
        let before = table_at(&image, 1).unwrap();
        let writes = before.grow(2, new, SECTOR as u64);
        assert_eq!(writes.len(), 4);
        for cut in 0..writes.len() {
            for torn in [0, 1, SECTOR / 2] {
                let mut image = image.clone();
                for (index, write) in writes.iter().enumerate().take(cut + 1) {
                    let len = if index == cut { torn } else { write.bytes.len() };
                    let at = write.sector as usize * SECTOR;
                    image[at..at + len].copy_from_slice(&write.bytes[..len]);
                }
                let last = new as usize - 1;
                let found = table_at(&image, 1).or_else(|| table_at(&image, last)).unwrap();
                let (first, end) = second(&found);
                assert_eq!(first, FIRST, "cut {cut} torn {torn}");
                assert!(end == old - 2049 || end > old, "cut {cut} torn {torn}: {end}");
            }
        }
        for write in &writes {
            let at = write.sector as usize * SECTOR;
            image[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
        }
        let grown = table_at(&image, 1).unwrap();
        assert_eq!(second(&grown), (FIRST, 18_432 - 1), "to the last whole MiB before the copy");
        assert_eq!(grown.grow(2, new, SECTOR as u64), [], "and that is all");
        let mut damaged = image.clone();
        damaged[SECTOR..3 * SECTOR].fill(0xff);
        let copy = table_at(&damaged, new as usize - 1).unwrap();
        for write in copy.restore() {
            let at = write.sector as usize * SECTOR;
            damaged[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
        }
        assert_eq!(table_at(&damaged, 1), Some(grown));
    }

    #[test]
    fn a_partition_is_where_its_entry_says() {
        let table = table_at(&disk(12_288), 1).unwrap();
        let second = table.place(2).unwrap();
        assert_eq!((second.first_sector, second.sectors), (FIRST, 12_288 - 2048 - FIRST));
        assert_eq!((second.number, second.id), (2, [0; 16]));
        assert_eq!((table.place(0), table.place(129)), (None, None));
    }

    #[test]
    fn only_the_last_partition_of_a_whole_table_grows() {
        let image = disk(12_288);
        let table = table_at(&image, 1).unwrap();
        assert_eq!(table.grow(1, 20_000, 512), [], "another one lies behind it");
        assert_eq!(table.grow(3, 20_000, 512), [], "an entry that is not used");
        assert_eq!(table.grow(usize::MAX, 20_000, 512), []);
        assert_eq!(table.grow(2, 10, 512), [], "a disk smaller than its table says");
        for bit in 0..92 * 8 {
            let mut header = image[SECTOR..2 * SECTOR].to_vec();
            header[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(entries_of(&header), None, "bit {bit}");
        }
    }
}
