//! Bytes whose long strings are written as they are and compressed later: by another thread than the
//! one that has the values, since trying to compress costs several times what writing does.

use super::write::{LEN_32, Sink, Writer};
use crate::clock::Now;

/// Written bytes, and where in them strings lie that are to be compressed.
#[derive(Debug, Default)]
pub struct Deferred {
    bytes: Vec<u8>,
    /// Where each begins, with its length. What lies beyond 4 GiB stays as it is.
    strings: Vec<u32>,
}

impl Sink for Deferred {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn long_string_follows(&mut self) {
        self.strings.extend(u32::try_from(self.bytes.len()).ok());
    }
}

impl Deferred {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), strings: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes with no string compressed.
    pub fn plain(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes with those strings compressed that get shorter by it.
    pub fn compressed(self) -> Vec<u8> {
        let out = Vec::with_capacity(self.bytes.len());
        let mut writer = Writer::new(out, true, Now::default());
        let mut done = 0;
        for &at in &self.strings {
            let at = at as usize;
            let (text, end) = string_at(&self.bytes, at);
            writer.raw(&self.bytes[done..at]);
            writer.string(text);
            done = end;
        }
        writer.raw(&self.bytes[done..]);
        writer.into_sink()
    }
}

/// A string that was written with its length, and where it ends.
fn string_at(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let number = |from: usize, len: usize| {
        bytes[from..from + len].iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
    };
    let (header, len) = match bytes[at] {
        short @ 0..0x40 => (1, usize::from(short)),
        0x40..LEN_32 => (2, number(at, 2) & 0x3fff),
        LEN_32 => (5, number(at + 1, 4)),
        _ => (9, number(at + 1, 8)),
    };
    let start = at + header;
    (&bytes[start..start + len], start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_compressed_later_are_those_compressed_at_once() {
        let texts: Vec<Vec<u8>> = [0, 1, 20, 21, 63, 64, 100, 16_383, 16_384, 70_000]
            .into_iter()
            .flat_map(|len: usize| {
                let random = (0..len).map(|nth| ((nth * nth * 7919) >> 3) as u8).collect();
                [vec![b'a'; len], random]
            })
            .collect();
        let mut now = Writer::new(Vec::new(), true, Now::default());
        let mut later = Writer::new(Deferred::default(), false, Now::default());
        let mut never = Writer::new(Vec::new(), false, Now::default());
        for text in &texts {
            now.number(7);
            now.string(text);
            later.number(7);
            later.string(text);
            never.number(7);
            never.string(text);
        }
        let (now, never) = (now.into_sink(), never.into_sink());
        assert!(now.len() < never.len());
        assert_eq!(std::mem::take(later.sink()).compressed(), now);
        for text in &texts {
            later.number(7);
            later.string(text);
        }
        assert_eq!(later.into_sink().plain(), never);
    }
}
