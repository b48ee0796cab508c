//! EFI's boot options, as far as two slots need them: which partition one starts, and ours as bytes.
//!
//! ```text
//!  Boot####                                 a partition's node, 42 bytes
//!    4  attributes: bit 0 active              4  kind 4.1, length
//!    2  length of the paths                   4  number of the partition
//!    …  description, UTF-16, ends with 0      8  first sector      8  sectors
//!    …  paths: nodes of 1 kind, 1 subkind,   16  its unique id
//!       2 length, …; the last is 7f.ff        2  2: GPT, 2: that id
//!  BootOrder   2 number each                BootNext, BootCurrent   2 number
//! ```
//!
//! Source: UEFI 2.10, 3.1.3 and 10.3. A path that begins with a partition is found on whatever disk
//! has that partition.

use heapless::Vec;

use crate::bytes::{Malformed, Reader, Writer};

/// More boot options than any machine has.
pub const MAX_ORDER: usize = 128;
/// Of an option of ours.
pub const MAX_OPTION_BYTES: usize = 192;

pub type Order = Vec<u16, MAX_ORDER>;
pub type OptionBytes = Vec<u8, MAX_OPTION_BYTES>;
/// As the disk and the firmware write it.
pub type Guid = [u8; 16];

const ACTIVE: u32 = 1;
/// Where firmware looks on a disk that it has never seen.
#[cfg(target_arch = "x86_64")]
const FILE: &str = "\\EFI\\BOOT\\BOOTX64.EFI";
#[cfg(not(target_arch = "x86_64"))]
const FILE: &str = "\\EFI\\BOOT\\BOOTAA64.EFI";

const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE_PATH: u8 = 4;
const HARD_DRIVE_BYTES: u16 = 42;
const END: [u8; 4] = [0x7f, 0xff, 4, 0];

/// A partition, as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// From 1.
    pub number: u32,
    pub first_sector: u64,
    pub sectors: u64,
    pub id: Guid,
}

/// A `Boot####`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOption<'a> {
    /// UTF-16, without its end.
    description: &'a [u8],
    paths: &'a [u8],
}

impl<'a> LoadOption<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let _attributes = reader.u32()?;
        let len = usize::from(reader.u16()?);
        let rest = reader.rest();
        let end = rest.chunks_exact(2).position(|unit| unit == [0, 0]);
        let end = 2 * end.ok_or(Malformed("a description without an end"))?;
        let description = rest.get(..end).unwrap_or_default();
        let paths = rest.get(end + 2..end + 2 + len).ok_or(Malformed("paths that are cut off"))?;
        Ok(Self { description, paths })
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.description.len() == 2 * name.encode_utf16().count()
            && utf16(name).eq(self.description.iter().copied())
    }

    /// That its path names, with whatever is before it.
    pub fn partition(&self) -> Option<Partition> {
        let mut reader = Reader::new(self.paths);
        loop {
            let (kind, subkind, len) = (reader.u8().ok()?, reader.u8().ok()?, reader.u16().ok()?);
            let body = reader.take(usize::from(len).checked_sub(4)?).ok()?;
            match (kind, subkind) {
                (MEDIA, HARD_DRIVE) => return partition(body),
                (0x7f, _) => return None,
                _ => {}
            }
        }
    }
}

fn partition(node: &[u8]) -> Option<Partition> {
    let mut reader = Reader::new(node);
    let found = Partition {
        number: reader.u32().ok()?,
        first_sector: reader.u64().ok()?,
        sectors: reader.u64().ok()?,
        id: reader.array().ok()?,
    };
    (reader.array() == Ok([2, 2])).then_some(found)
}

/// An option of ours: `name` starts the system on that partition.
pub fn option(name: &str, at: &Partition) -> OptionBytes {
    let file_bytes = 4 + 2 * (FILE.len() as u16 + 1);
    let mut writer = Writer::<MAX_OPTION_BYTES>::new();
    writer.u32(ACTIVE);
    writer.u16(HARD_DRIVE_BYTES + file_bytes + END.len() as u16);
    text(&mut writer, name);
    writer.put(&[MEDIA, HARD_DRIVE]);
    writer.u16(HARD_DRIVE_BYTES);
    writer.u32(at.number);
    writer.u64(at.first_sector);
    writer.u64(at.sectors);
    writer.put(&at.id);
    writer.put(&[2, 2, MEDIA, FILE_PATH]);
    writer.u16(file_bytes);
    text(&mut writer, FILE);
    writer.put(&END);
    writer.finish().unwrap_or_default()
}

fn text<const N: usize>(writer: &mut Writer<N>, text: &str) {
    utf16(text).for_each(|byte| writer.u8(byte));
    writer.u16(0);
}

fn utf16(text: &str) -> impl Iterator<Item = u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes)
}

/// `BootOrder`'s numbers.
pub fn order(bytes: &[u8]) -> Result<Order, Malformed> {
    let (numbers, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Malformed("half a number"));
    }
    let mut order = Order::new();
    for number in numbers {
        order.push(u16::from_le_bytes(*number)).map_err(|_| Malformed("too many boot options"))?;
    }
    Ok(order)
}

/// Of its usual text in UTF-16, which may have an end: the first three numbers are little-endian.
pub fn guid(text: &[u8]) -> Option<Guid> {
    const PLACES: Guid = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut digits = Vec::<u8, 32>::new();
    for unit in text.as_chunks::<2>().0 {
        match *unit {
            [0, 0] => break,
            [b'-', 0] => {}
            [digit, 0] => digits.push((digit as char).to_digit(16)? as u8).ok()?,
            _ => return None,
        }
    }
    let mut guid = Guid::default();
    for (pair, place) in digits.as_chunks::<2>().0.iter().zip(PLACES) {
        *guid.get_mut(usize::from(place))? = pair[0] << 4 | pair[1];
    }
    (digits.len() == 32).then_some(guid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Partition = Partition { number: 2, first_sector: 2048, sectors: 99, id: [7; 16] };

    #[test]
    fn an_option_of_ours_is_read_as_it_was_written() {
        let bytes = option("Holdfast B", &PLACE);
        let read = LoadOption::parse(&bytes).expect("whole");
        assert!(read.is_called("Holdfast B") && !read.is_called("Holdfast"));
        assert_eq!(read.partition(), Some(PLACE));
        for cut in 0..bytes.len() {
            assert!(LoadOption::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    /// As OVMF writes one for a disk that it found: a controller and a device, no partition.
    #[test]
    fn a_path_without_a_partition_names_none() {
        let path = b"\x02\x01\x0c\0\xd0\x41\x03\x0a\0\0\0\0\x01\x01\x06\0\0\x03\x7f\xff\x04\0";
        let bytes = [&[1, 0, 0, 0, path.len() as u8, 0, b'x', 0, 0, 0], &path[..]].concat();
        assert_eq!(LoadOption::parse(&bytes).expect("whole").partition(), None);
        let behind = [&path[..path.len() - 4], &option("x", &PLACE)[10..]].concat();
        let whole = [&[1, 0, 0, 0, behind.len() as u8, 0, b'x', 0, 0, 0], &behind[..]].concat();
        assert_eq!(LoadOption::parse(&whole).expect("whole").partition(), Some(PLACE));
    }

    #[test]
    fn an_id_is_read_from_its_text() {
        let utf16: std::vec::Vec<u8> = utf16("5A1d6c3e-68f5-4f0b-9c11-6f1d0a57510a\0").collect();
        let id = guid(&utf16).expect("an id");
        assert_eq!(id[..8], [0x3e, 0x6c, 0x1d, 0x5a, 0xf5, 0x68, 0x0b, 0x4f]);
        assert_eq!(id[8..], [0x9c, 0x11, 0x6f, 0x1d, 0x0a, 0x57, 0x51, 0x0a]);
        assert_eq!(guid(&utf16[..70]), None);
        assert_eq!(guid(b"5a1d"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(option) = LoadOption::parse(&bytes) {
                let _ = (option.is_called("Holdfast A"), option.partition());
            }
            let _ = (order(&bytes), guid(&bytes));
        }

        #[test]
        fn a_changed_option_is_read(at in 0usize..160, with in any::<u8>()) {
            let mut bytes = option("Holdfast B", &PLACE);
            let len = bytes.len();
            bytes[at % len] = with;
            if let Ok(option) = LoadOption::parse(&bytes) {
                let _ = option.partition();
            }
        }
    }
}
