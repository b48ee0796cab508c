//! What all values are made of, written: lengths, strings, numbers, times.
//!
//! ```text
//!   00llllll                      length below 64            11000000 i8     integer as a string
//!   01llllll l                    length below 16,384        11000001 i16    (little-endian)
//!   10000000 llll                 length below 4 Gi          11000010 i32
//!   10000001 llllllll             any length                 11000011 compressed-length length bytes
//! ```
//!
//! Lengths are big-endian; all else is little-endian.

use crate::clock::Now;
use crate::lzf::Compressor;
use crate::number::parse_int;
use crate::types::listpack::Listpack;
use crate::types::string::Digits;

/// Where the bytes go. A sink that may fail keeps the error for whoever made it.
pub trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// What follows is the length and the bytes of a string that might get shorter by compression.
    fn long_string_follows(&mut self) {}
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Only how many bytes there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted(pub usize);

impl Sink for Counted {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

pub(super) const LEN_32: u8 = 0x80;
pub(super) const LEN_64: u8 = 0x81;
/// The first byte of a string that is not a length and its bytes.
pub(super) const INT_8: u8 = 0xc0;
pub(super) const INT_16: u8 = 0xc1;
pub(super) const INT_32: u8 = 0xc2;
pub(super) const COMPRESSED: u8 = 0xc3;

/// Longer text is not looked at for being an integer: `-2147483648` is the longest that could be.
const LONGEST_INT: usize = 11;
/// Nothing up to this length gets any shorter.
const SHORTEST_COMPRESSED: usize = 20;

pub struct Writer<S> {
    sink: S,
    /// `None` writes strings as they are.
    compressor: Option<Compressor>,
    now: Now,
    /// A listpack in RDB's form, while it is written.
    made: Vec<u8>,
}

impl<S: Sink> Writer<S> {
    /// `compress` is the setting `rdbcompression`; `now` turns times into Unix time.
    pub fn new(sink: S, compress: bool, now: Now) -> Self {
        Self { sink, compressor: compress.then(Compressor::default), now, made: Vec::new() }
    }

    pub fn now(&self) -> Now {
        self.now
    }

    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    pub fn into_sink(self) -> S {
        self.sink
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }

    /// A length, or another number that is written as one.
    pub fn number(&mut self, number: u64) {
        let bytes = number.to_be_bytes();
        match number {
            0..0x40 => self.raw(&bytes[7..]),
            0x40..0x4000 => self.raw(&[0x40 | bytes[6], bytes[7]]),
            0x4000..=0xffff_ffff => {
                self.raw(&[LEN_32]);
                self.raw(&bytes[4..]);
            }
            _ => {
                self.raw(&[LEN_64]);
                self.raw(&bytes);
            }
        }
    }

    pub fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A string: as an integer if it is the text of one, compressed if that makes it shorter.
    pub fn string(&mut self, text: &[u8]) {
        let int = if text.len() <= LONGEST_INT { parse_int(text) } else { None };
        if int.is_some_and(|int| self.small_int(int)) {
            return;
        }
        if text.len() > SHORTEST_COMPRESSED
            && let Some(compressor) = &mut self.compressor
            && let Some(compressed) = compressor.compress(text)
        {
            let compressed = compressed.to_vec();
            return self.compressed(&compressed, text.len());
        }
        if text.len() > SHORTEST_COMPRESSED {
            self.sink.long_string_follows();
        }
        self.count(text.len());
        self.raw(text);
    }

    /// A string of `len` bytes by its compressed form.
    pub fn compressed(&mut self, compressed: &[u8], len: usize) {
        self.raw(&[COMPRESSED]);
        self.count(compressed.len());
        self.count(len);
        self.raw(compressed);
    }

    /// A listpack is a string of RDB's.
    pub fn listpack(&mut self, listpack: &Listpack) {
        self.made(|out| listpack.write_to(out));
    }

    /// The string that `make` writes.
    pub fn made(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        let mut made = std::mem::take(&mut self.made);
        made.clear();
        make(&mut made);
        self.string(&made);
        self.made = made;
    }

    /// The string that is this integer's text.
    pub fn int(&mut self, int: i64) {
        if !self.small_int(int) {
            let mut digits = Digits::new();
            let text = digits.format(int).as_bytes();
            self.count(text.len());
            self.raw(text);
        }
    }

    /// Writes an integer of up to 32 bits; whether it is one.
    fn small_int(&mut self, int: i64) -> bool {
        let [a, b, c, d, ..] = int.to_le_bytes();
        match int {
            -0x80..=0x7f => self.raw(&[INT_8, a]),
            -0x8000..=0x7fff => self.raw(&[INT_16, a, b]),
            -0x8000_0000..=0x7fff_ffff => self.raw(&[INT_32, a, b, c, d]),
            _ => return false,
        }
        true
    }

    pub fn double(&mut self, value: f64) {
        self.raw(&value.to_le_bytes());
    }

    /// A time of the server's timeline, as Unix milliseconds; -1 for none.
    pub fn time(&mut self, ms: Option<i64>) {
        let unix_ms = ms.map_or(-1, |ms| self.now.unix_ms_of_deadline(ms).max(0));
        self.raw(&unix_ms.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), true, Now { us: 5_000, wall_offset_ms: 2 });
        write(&mut writer);
        writer.into_sink()
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_need() {
        for (len, bytes) in [
            (0, &[0][..]),
            (63, &[63]),
            (64, &[0x40, 64]),
            (16_383, &[0x7f, 0xff]),
            (16_384, &[0x80, 0, 0, 0x40, 0]),
            (0xffff_ffff, &[0x80, 0xff, 0xff, 0xff, 0xff]),
            (1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(|w| w.number(len)), bytes, "{len}");
        }
    }

    #[test]
    fn the_text_of_a_small_integer_is_written_as_one() {
        for (text, bytes) in [
            ("7", &[0xc0, 7][..]),
            ("-128", &[0xc0, 0x80]),
            ("128", &[0xc1, 0x80, 0]),
            ("-2147483648", &[0xc2, 0, 0, 0, 0x80]),
            ("007", b"\x03007"),
            ("2147483648", b"\x0a2147483648"),
            ("", &[0]),
        ] {
            assert_eq!(written(|w| w.string(text.as_bytes())), bytes, "{text}");
            if let Some(int) = parse_int(text.as_bytes()) {
                assert_eq!(written(|w| w.int(int)), bytes, "{int}");
            }
        }
    }

    #[test]
    fn what_repeats_is_compressed() {
        let bytes = written(|w| w.string(&[b'a'; 100]));
        assert_eq!(bytes[..3], [COMPRESSED, bytes.len() as u8 - 4, 0x40]);
        assert!(bytes.len() < 15);
        assert_eq!(written(|w| w.string(&[b'a'; 20])).len(), 21);
    }

    #[test]
    fn times_are_unix_times() {
        assert_eq!(written(|w| w.time(Some(5))), 7i64.to_le_bytes());
        assert_eq!(written(|w| w.time(None)), [0xff; 8]);
    }
}
