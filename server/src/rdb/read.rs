//! What all values are made of, read: lengths, strings, numbers, times. The layout is drawn in
//! [`super::write`].

use std::fmt;

use super::write::{COMPRESSED, INT_8, INT_16, INT_32, LEN_32, LEN_64};
use crate::clock::Now;
use crate::lzf;
use crate::number;
use crate::types::string::Digits;

/// No string, nor anything that is kept as one, is longer: lengths within a value have 32 bits.
pub const MAX_STRING: u64 = 1 << 31;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end before the value does.
    Ends,
    Corrupt(&'static str),
    /// A collection without elements. Old servers wrote some by mistake; files may have them, and
    /// they are skipped.
    Empty,
    /// The value of a module of this name.
    Module(String),
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends => write!(f, "the value is cut off"),
            Self::Corrupt(what) => write!(f, "{what}"),
            Self::Empty => write!(f, "a collection without elements"),
            Self::Module(name) => write!(
                f,
                "The RDB file contains module data I can't load: no matching module type '{name}'"
            ),
        }
    }
}

/// Where the bytes come from.
pub trait Source {
    /// The next `len` bytes, or [`Error::Ends`]. No memory is taken for bytes that are not there.
    fn take(&mut self, len: usize) -> Result<&[u8]>;

    /// The same as bytes of their own.
    fn take_vec(&mut self, len: usize) -> Result<Vec<u8>> {
        self.take(len).map(<[u8]>::to_vec)
    }
}

impl Source for &[u8] {
    fn take(&mut self, len: usize) -> Result<&[u8]> {
        let (taken, rest) = self.split_at_checked(len).ok_or(Error::Ends)?;
        *self = rest;
        Ok(taken)
    }
}

/// Longer strings are not passed through a buffer.
const LONG: usize = 64 * 1024;

/// A string as it is written.
#[derive(Debug, PartialEq, Eq)]
pub enum Text<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Long(Vec<u8>),
}

pub struct Reader<S> {
    source: S,
    /// A string that does not lie in the source as it is.
    made: Vec<u8>,
    now: Now,
}

/// What the first byte of a length or a string says.
enum Head {
    Len(u64),
    Int(i64),
    Compressed,
}

impl<S: Source> Reader<S> {
    /// `now` turns Unix times into the server's.
    pub fn new(source: S, now: Now) -> Self {
        Self { source, made: Vec::new(), now }
    }

    pub fn source(&self) -> &S {
        &self.source
    }

    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Gives back what a long string has left behind.
    pub fn trim(&mut self) {
        if self.made.capacity() > LONG {
            self.made = Vec::new();
        }
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.source.take(N)?;
        Ok(*bytes.first_chunk().expect("as many as asked for"))
    }

    fn head(&mut self) -> Result<Head> {
        let [first] = self.array()?;
        Ok(match first {
            0..0x40 => Head::Len(first.into()),
            0x40..0x80 => {
                let [low] = self.array()?;
                Head::Len(u64::from(first & 0x3f) << 8 | u64::from(low))
            }
            LEN_32 => Head::Len(u32::from_be_bytes(self.array()?).into()),
            LEN_64 => Head::Len(u64::from_be_bytes(self.array()?)),
            INT_8 => Head::Int(i8::from_le_bytes(self.array()?).into()),
            INT_16 => Head::Int(i16::from_le_bytes(self.array()?).into()),
            INT_32 => Head::Int(i32::from_le_bytes(self.array()?).into()),
            COMPRESSED => Head::Compressed,
            _ => return Err(Error::Corrupt("unknown length encoding")),
        })
    }

    /// A length, or another number that is written as one.
    pub fn number(&mut self) -> Result<u64> {
        match self.head()? {
            Head::Len(len) => Ok(len),
            _ => Err(Error::Corrupt("a string where a length belongs")),
        }
    }

    /// How many of something follow; none is not a value.
    pub(super) fn count(&mut self) -> Result<u64> {
        match self.number()? {
            0 => Err(Error::Empty),
            count => Ok(count),
        }
    }

    /// A string, until the next one is read.
    pub fn string(&mut self) -> Result<&[u8]> {
        match self.head()? {
            Head::Len(len) => self.source.take(checked(len)?),
            Head::Int(int) => {
                self.made.clear();
                self.made.extend_from_slice(Digits::new().format(int).as_bytes());
                Ok(&self.made)
            }
            Head::Compressed => self.decompressed(),
        }
    }

    /// A string in the form that costs least.
    pub fn text(&mut self) -> Result<Text<'_>> {
        Ok(match self.head()? {
            Head::Int(int) => Text::Int(int),
            Head::Len(len) if len > LONG as u64 => Text::Long(self.source.take_vec(checked(len)?)?),
            Head::Len(len) => Text::Bytes(self.source.take(checked(len)?)?),
            Head::Compressed => Text::Bytes(self.decompressed()?),
        })
    }

    fn decompressed(&mut self) -> Result<&[u8]> {
        const WRONG: Error = Error::Corrupt("invalid LZF compressed string");
        let (compressed_len, len) = (checked(self.number()?)?, checked(self.number()?)?);
        let compressed = self.source.take(compressed_len)?;
        if len as u64 > compressed_len as u64 * lzf::MAX_RATIO {
            return Err(WRONG);
        }
        let whole = lzf::decompress(compressed, len, &mut self.made);
        if whole { Ok(&self.made) } else { Err(WRONG) }
    }

    pub fn double(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A double as its text: of version 1 sorted sets.
    pub(super) fn double_text(&mut self) -> Result<f64> {
        match self.array()? {
            [253] => Ok(f64::NAN),
            [254] => Ok(f64::INFINITY),
            [255] => Ok(f64::NEG_INFINITY),
            [len] => {
                let text = self.source.take(len.into())?;
                number::parse_float(text).ok_or(Error::Corrupt("a score is not a number"))
            }
        }
    }

    /// A Unix time in milliseconds as it is written.
    pub fn unix_ms(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A time as the server's timeline has it; `None` for -1.
    pub(super) fn time(&mut self) -> Result<Option<i64>> {
        match self.unix_ms()? {
            -1 => Ok(None),
            ..0 => Err(Error::Corrupt("a time before 1970")),
            unix_ms => Ok(Some(self.deadline(unix_ms))),
        }
    }

    pub fn deadline(&self, unix_ms: i64) -> i64 {
        self.now.deadline_of_unix_ms(unix_ms)
    }
}

fn checked(len: u64) -> Result<usize> {
    if len > MAX_STRING {
        return Err(Error::Corrupt("a string is too long"));
    }
    usize::try_from(len).map_err(|_| Error::Ends)
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<&[u8]> {
        Reader::new(bytes, Now { us: 0, wall_offset_ms: 2 })
    }

    #[test]
    fn what_is_written_is_read() {
        let long = vec![b'x'; 20_000];
        let texts = [&b""[..], b"7", b"-129", b"40000", b"2147483648", b"007", b"text", &long];
        for compress in [false, true] {
            let mut writer = Writer::new(Vec::new(), compress, Now { us: 0, wall_offset_ms: 2 });
            texts.iter().for_each(|text| writer.string(text));
            writer.int(i64::MIN);
            writer.number(u64::MAX);
            writer.double(-0.5);
            writer.time(Some(40));
            writer.time(None);
            let bytes = writer.into_sink();
            let mut reader = reader(&bytes);
            for text in texts {
                assert_eq!(reader.string(), Ok(text));
            }
            assert_eq!(reader.string(), Ok(&b"-9223372036854775808"[..]));
            assert_eq!(reader.number(), Ok(u64::MAX));
            assert_eq!(reader.double(), Ok(-0.5));
            assert_eq!(reader.time(), Ok(Some(40)));
            assert_eq!(reader.time(), Ok(None));
            assert!(reader.source().is_empty());
        }
    }

    #[test]
    fn an_announced_length_is_not_believed() {
        for bytes in [
            &b"\x05abc"[..],
            b"\x80\x7f\xff\xff\xff",
            b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x82abc",
            b"\xc4abc",
            b"\xc3\x02\x80\x7f\xff\xff\xff\x00a",
            b"\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\xc1\x00",
            b"",
        ] {
            assert!(reader(bytes).string().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn scores_were_once_texts() {
        assert_eq!(reader(b"\x031.5").double_text(), Ok(1.5));
        assert_eq!(reader(b"\xff").double_text(), Ok(f64::NEG_INFINITY));
        assert_eq!(reader(b"\xfe").double_text(), Ok(f64::INFINITY));
        assert!(reader(b"\xfd").double_text().is_ok_and(f64::is_nan));
        assert!(reader(b"\x03abc").double_text().is_err());
        assert!(reader(b"\x091.5").double_text().is_err());
    }
}
