//! The boot record: what a machine tells its next start about this one.
//!
//! Two blocks of 4096 bytes, written in turn, so that a cut leaves one of them whole; the newer whole
//! one counts. Numbers are little-endian.
//!
//! ```text
//!     8  "HFBOOT1\0"
//!     8  sequence, counts the writes
//!     4  boots, counted from 1
//!     1  state: 0 running, 1 ended in order, 2 PID 1 failed
//!     1  why the watchdog was not fed (`Starved`)
//!     1  starts in a row that ended by the watchdog or a failure of PID 1
//!     1  starts in a row that found the file system marked with errors
//!     8  wall clock, Unix ms       8  CLOCK_MONOTONIC, ms
//!   160  last words                …  zeros
//!     4  CRC-32 of all before it
//! ```

use heapless::String;

use crate::bytes::{Malformed, Reader, Writer};
use crate::clock::Ms;
use crate::snapshot::{Starved, one_of};

pub const BLOCK_BYTES: usize = 4096;
const BODY_BYTES: usize = BLOCK_BYTES - 4;
const MAGIC: &[u8; 8] = b"HFBOOT1\0";

/// What was said last, cut to this.
pub type Words = String<160>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    #[default]
    Running = 0,
    Clean = 1,
    Panicked = 2,
}

impl State {
    const ALL: [Self; 3] = [Self::Running, Self::Clean, Self::Panicked];
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub sequence: u64,
    pub boots: u32,
    pub state: State,
    pub starved: Starved,
    pub bad_ends: u8,
    pub unsound_starts: u8,
    pub unix_ms: u64,
    pub uptime_ms: Ms,
    pub words: Words,
}

impl Record {
    pub fn decode(block: &[u8]) -> Result<Self, Malformed> {
        let (body, sum) = block.split_at_checked(BODY_BYTES).ok_or(Malformed("too short"))?;
        if sum != crc32fast::hash(body).to_le_bytes() {
            return Err(Malformed("wrong checksum"));
        }
        let mut reader = Reader::new(body);
        if reader.array::<8>()? != *MAGIC {
            return Err(Malformed("not a boot record"));
        }
        let record = Self {
            sequence: reader.u64()?,
            boots: reader.u32()?,
            state: one_of(&State::ALL, reader.u8()?)?,
            starved: one_of(&Starved::ALL, reader.u8()?)?,
            bad_ends: reader.u8()?,
            unsound_starts: reader.u8()?,
            unix_ms: reader.u64()?,
            uptime_ms: reader.u64()?,
            words: reader.text()?,
        };
        if reader.rest().iter().any(|&byte| byte != 0) {
            return Err(Malformed("too long"));
        }
        Ok(record)
    }

    pub fn encode(&self, block: &mut [u8; BLOCK_BYTES]) {
        let mut writer = Writer::<256>::new();
        writer.put(MAGIC);
        writer.u64(self.sequence);
        writer.u32(self.boots);
        writer.u8(self.state as u8);
        writer.u8(self.starved as u8);
        writer.u8(self.bad_ends);
        writer.u8(self.unsound_starts);
        writer.u64(self.unix_ms);
        writer.u64(self.uptime_ms);
        writer.text(&self.words);
        block.fill(0);
        // 200 bytes of 256.
        let body = writer.finish().unwrap_or_default();
        for (place, byte) in block.iter_mut().zip(body) {
            *place = byte;
        }
        let (body, sum) = block.split_at_mut(BODY_BYTES);
        sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    }

    /// The newer of the two blocks of a file, whichever is whole.
    pub fn newest(file: &[u8]) -> Option<Self> {
        let records = file.chunks(BLOCK_BYTES).filter_map(|block| Self::decode(block).ok());
        records.max_by_key(|record| record.sequence)
    }

    /// Which of the two blocks it is written to.
    pub fn place(&self) -> u64 {
        self.sequence % 2 * BLOCK_BYTES as u64
    }
}

/// As much of it as fits, ending at a letter's end.
pub fn words(text: &str) -> Words {
    let mut words = Words::new();
    for letter in text.chars().filter(|letter| *letter != '\0') {
        if words.push(letter).is_err() {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(sequence: u64) -> Record {
        Record {
            sequence,
            boots: 7,
            state: State::Panicked,
            starved: Starved::Disk,
            bad_ends: 2,
            unsound_starts: 1,
            unix_ms: 1_795_305_600_123,
            uptime_ms: 99,
            words: words("panicked at a place"),
        }
    }

    fn encoded(record: &Record) -> [u8; BLOCK_BYTES] {
        let mut block = [0xaa; BLOCK_BYTES];
        record.encode(&mut block);
        block
    }

    #[test]
    fn a_write_that_is_cut_anywhere_leaves_the_old_record_or_the_new_one() {
        let (old, new) = (record(4), record(5));
        let mut file = [encoded(&old), encoded(&record(3))].concat();
        let target = encoded(&new);
        for written in 0..=BLOCK_BYTES {
            let at = new.place() as usize;
            file[at..at + written].copy_from_slice(&target[..written]);
            let found = Record::newest(&file);
            let whole = encoded(&new) == file[at..at + BLOCK_BYTES];
            assert_eq!(found.as_ref(), Some(if whole { &new } else { &old }), "cut at {written}");
        }
    }

    #[test]
    fn no_bit_may_be_wrong() {
        let good = encoded(&record(1));
        assert_eq!(Record::decode(&good), Ok(record(1)));
        for bit in 0..BLOCK_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn last_words_are_cut_where_they_no_longer_fit() {
        let long = "ä".repeat(200);
        assert_eq!(words(&long).len(), 160);
        assert_eq!(words("a\0b"), "ab");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            prop_assert_eq!(Record::newest(&bytes), None);
        }
    }
}
