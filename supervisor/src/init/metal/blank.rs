//! Putting an empty ext4 on a blank partition. There is no mkfs in the image: the file system was
//! made when the image was built, and ships as the blocks that are not all zero.
//!
//! ```text
//!  0        8               16
//!  HFBLANK1 size in bytes   { offset  length  length bytes }*      integers u64 LE
//! ```
//!
//! Offsets ascend; what no record covers is zero. The writer is image/src/blank_ext4.rs.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

const MAGIC: &[u8] = b"HFBLANK1";
/// Bytes of a block of the file system.
const BLOCK: usize = 4096;
/// Of zeros written at once.
const CHUNK: usize = 64 << 10;

/// An unpacked description: which bytes go where.
pub(super) struct Blank<'a> {
    pub(super) size: u64,
    records: Vec<(u64, &'a [u8])>,
}

impl<'a> Blank<'a> {
    /// Nothing if `packed` is not what the format says.
    pub(super) fn parse(packed: &'a [u8]) -> Option<Self> {
        let mut rest = packed.strip_prefix(MAGIC)?;
        let size = take_u64(&mut rest)?;
        let mut blank = Self { size, records: Vec::new() };
        let mut end = 0;
        while !rest.is_empty() {
            let (offset, length) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
            let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            let ascending = offset >= end && !bytes.is_empty();
            end = offset.checked_add(length).filter(|end| ascending && *end <= size)?;
            blank.records.push((offset, bytes));
            rest = after;
        }
        // The superblock lies in the first record.
        blank.records.first().filter(|(offset, _)| *offset == 0)?;
        Some(blank)
    }

    /// Writes the file system so that a power cut leaves a partition that is blank at its start,
    /// and is formatted once more: the block with the superblock comes last.
    pub(super) fn write_to(&self, device: &mut File) -> io::Result<()> {
        self.write_rest(device)?;
        device.sync_all()?;
        self.write_head(device)?;
        device.sync_all()
    }

    /// All but the superblock, zeros included: the medium may hold something old there.
    fn write_rest(&self, out: &mut (impl Write + Seek)) -> io::Result<()> {
        let (_, first) = self.records[0];
        out.seek(SeekFrom::Start(self.superblock().len() as u64))?;
        out.write_all(&first[self.superblock().len()..])?;
        let mut at = first.len() as u64;
        for (offset, bytes) in &self.records[1..] {
            write_zeros(out, offset - at)?;
            out.write_all(bytes)?;
            at = offset + bytes.len() as u64;
        }
        write_zeros(out, self.size - at)
    }

    fn write_head(&self, out: &mut (impl Write + Seek)) -> io::Result<()> {
        out.rewind()?;
        out.write_all(self.superblock())
    }

    /// The block that makes the rest a file system.
    fn superblock(&self) -> &'a [u8] {
        let (_, first) = self.records[0];
        &first[..first.len().min(BLOCK)]
    }

    /// The first `len` bytes as they will be.
    pub(super) fn head(&self, len: usize) -> Vec<u8> {
        let mut head = vec![0; len];
        for (offset, bytes) in &self.records {
            let start = usize::try_from(*offset).unwrap_or(len).min(len);
            let place = &mut head[start..];
            let shared = place.len().min(bytes.len());
            place[..shared].copy_from_slice(&bytes[..shared]);
        }
        head
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*word))
}

fn write_zeros(out: &mut impl Write, len: u64) -> io::Result<()> {
    let zeros = [0; CHUNK];
    let mut left = len;
    while left > 0 {
        let now = left.min(CHUNK as u64);
        out.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn packed(size: u64, records: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(size.to_le_bytes());
        for (offset, bytes) in records {
            out.extend(offset.to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(*bytes);
        }
        out
    }

    #[test]
    fn a_dirty_medium_holds_the_blank_and_nothing_else_afterwards() {
        let packed = packed(200_000, &[(0, b"head"), (100_000, b"middle")]);
        let blank = Blank::parse(&packed).unwrap();
        let mut medium = Cursor::new(vec![0xaa; 200_001]);
        blank.write_rest(&mut medium).unwrap();
        assert_eq!(&medium.get_ref()[..4], [0xaa; 4], "the head is not there yet");
        blank.write_head(&mut medium).unwrap();
        assert!(blank.head(100_003) == medium.get_ref()[..100_003]);
        let mut wanted = vec![0; 200_000];
        wanted[..4].copy_from_slice(b"head");
        wanted[100_000..100_006].copy_from_slice(b"middle");
        wanted.push(0xaa);
        assert!(medium.into_inner() == wanted);
    }

    #[test]
    fn a_damaged_description_is_refused() {
        let good = packed(4096, &[(0, b"head"), (8, b"tail")]);
        assert!(Blank::parse(&good).is_some());
        for cut in 0..good.len() {
            let whole_records = cut == 36;
            assert_eq!(Blank::parse(&good[..cut]).is_some(), whole_records, "cut at {cut}");
        }
        for bad in [
            packed(4096, &[]),
            packed(4096, &[(4, b"no head")]),
            packed(4096, &[(0, b"head"), (2, b"overlap")]),
            packed(8, &[(0, b"beyond the end")]),
            packed(4096, &[(0, b"head"), (u64::MAX, b"wraps")]),
        ] {
            assert!(Blank::parse(&bad).is_none());
        }
    }
}
