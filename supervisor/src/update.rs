//! The file of an update: a header, then the bytes of a slot.
//!
//! ```text
//!    0   8  "HFUPDATE"              64  32  the board it is for, NUL-padded
//!    8   4  layout: 1               96  32  the version, likewise
//!   12   4  zero                   128 352  zero
//!   16   8  bytes of the body      480  32  SHA-256 of all before
//!   24   8  bytes a slot must have 512   …  the body
//!   32  32  SHA-256 of the body
//! ```
//!
//! Numbers are little-endian. The writer is the image tool's: `image/src/update.rs`. A checksum is no
//! signature: it finds damage, not malice.

use heapless::String;

use crate::bytes::Reader;

pub const HEADER_BYTES: usize = 512;
const MAGIC: [u8; 8] = *b"HFUPDATE";
const LAYOUT: u32 = 1;
/// Where the header's own checksum is.
pub const SUM_AT: usize = 480;
/// A FAT of less is none, and one of more nobody makes.
const BODY: core::ops::RangeInclusive<u64> = 4096..=1 << 30;

/// The machines that this program was built for.
#[cfg(target_arch = "x86_64")]
pub const BOARD: &str = "x86_64-efi";
#[cfg(not(target_arch = "x86_64"))]
pub const BOARD: &str = "aarch64-efi";

pub type Sum = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub body_bytes: u64,
    /// What the slot must have.
    pub slot_bytes: u64,
    pub sum: Sum,
    /// The header's own checksum, which names the whole file.
    pub id: Sum,
    pub board: String<32>,
    pub version: String<32>,
}

/// Why a file is not taken. Whose fault it is differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Something else than an update.
    NotOne,
    /// Its checksum is another, or what it says cannot be.
    Damaged,
    /// Of a layout that this version does not know.
    NewerLayout(u32),
    OtherBoard(String<32>),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self {
            Self::NotOne => f.write_str("this is no update (cargo image update makes one)"),
            Self::Damaged => f.write_str("the update is damaged: its header has another checksum"),
            Self::NewerLayout(layout) => {
                write!(f, "the update has layout {layout}; this version knows layout {LAYOUT} only")
            }
            Self::OtherBoard(board) => {
                write!(f, "the update is for {board}; this machine is {BOARD}")
            }
        }
    }
}

impl Header {
    /// `is_sum` says whether the second are the checksum of the first.
    pub fn parse(
        bytes: &[u8; HEADER_BYTES],
        is_sum: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<Self, Refusal> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Refusal::NotOne);
        }
        let (said, sum) = bytes.split_at(SUM_AT);
        if !is_sum(said, sum) {
            return Err(Refusal::Damaged);
        }
        let damaged = |_| Refusal::Damaged;
        let mut reader = Reader::new(said.get(MAGIC.len()..).unwrap_or_default());
        let layout = reader.u32().map_err(damaged)?;
        if layout != LAYOUT {
            return Err(Refusal::NewerLayout(layout));
        }
        reader.u32().map_err(damaged)?;
        let header = Self {
            body_bytes: reader.u64().map_err(damaged)?,
            slot_bytes: reader.u64().map_err(damaged)?,
            sum: reader.array().map_err(damaged)?,
            id: sum.try_into().map_err(|_| Refusal::Damaged)?,
            board: reader.text().map_err(damaged)?,
            version: reader.text().map_err(damaged)?,
        };
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let texts_are_plain = is_plain(&header.board) && is_plain(&header.version);
        if !texts_are_plain || !BODY.contains(&header.body_bytes) {
            return Err(Refusal::Damaged);
        }
        if header.board != BOARD {
            return Err(Refusal::OtherBoard(header.board));
        }
        Ok(header)
    }
}

/// How a version stands to the one that runs, by the numbers in it; `None` where they say nothing.
pub fn compare(version: &str, running: &str) -> Option<core::cmp::Ordering> {
    fn numbers(version: &str) -> Option<[u32; 3]> {
        let plain = version.split_once(['-', '+']).map_or(version, |(plain, _)| plain);
        let mut numbers = [0; 3];
        let mut parts = plain.split('.');
        for number in &mut numbers {
            *number = parts.next()?.parse().ok()?;
        }
        parts.next().is_none().then_some(numbers)
    }
    if version == running {
        return Some(core::cmp::Ordering::Equal);
    }
    let (one, other) = (numbers(version)?, numbers(running)?);
    Some(one.cmp(&other)).filter(|ordering| ordering.is_ne())
}

#[cfg(test)]
mod tests {
    use core::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    /// A header with a body of so many bytes, for that board.
    fn header(body_bytes: u64, board: &str) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &LAYOUT.to_le_bytes());
        put(16, &body_bytes.to_le_bytes());
        put(24, &(34u64 << 20).to_le_bytes());
        put(32, &[7; 32]);
        put(64, board.as_bytes());
        put(96, b"0.2.0");
        bytes
    }

    fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, Refusal> {
        Header::parse(bytes, |_, _| true)
    }

    #[test]
    fn what_it_says_is_read_and_what_is_wrong_is_told() {
        let good = read(&header(9 << 20, BOARD)).expect("good");
        assert_eq!((good.body_bytes, good.slot_bytes), (9 << 20, 34 << 20));
        assert_eq!((good.sum, good.version.as_str()), ([7; 32], "0.2.0"));
        assert_eq!(read(&[0; HEADER_BYTES]), Err(Refusal::NotOne));
        let damaged = Header::parse(&header(9 << 20, BOARD), |_, _| false);
        assert_eq!(damaged, Err(Refusal::Damaged));
        for odd in [0, 4095, u64::MAX] {
            assert_eq!(read(&header(odd, BOARD)), Err(Refusal::Damaged));
        }
        let other = read(&header(9 << 20, "toaster")).expect_err("another board");
        assert_eq!(
            other.to_string(),
            format!("the update is for toaster; this machine is {BOARD}")
        );
        let mut newer = header(9 << 20, BOARD);
        newer[8] = 2;
        assert_eq!(read(&newer), Err(Refusal::NewerLayout(2)));
        assert_eq!(read(&header(9 << 20, "\x1b[2J")), Err(Refusal::Damaged));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(compare("0.2.0", "0.1.9"), Some(Ordering::Greater));
        assert_eq!(compare("0.9.0", "0.10.0"), Some(Ordering::Less));
        assert_eq!(compare("0.1.0", "0.1.0"), Some(Ordering::Equal));
        assert_eq!(compare("0.1.0-rc1", "0.1.0"), None);
        assert_eq!(compare("master", "0.1.0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), HEADER_BYTES)) {
            let mut bytes: [u8; HEADER_BYTES] = bytes.try_into().expect("so many");
            let _ = read(&bytes);
            bytes[..16].copy_from_slice(&header(0, BOARD)[..16]);
            let _ = read(&bytes);
        }
    }
}
