//! The words of a command line in one bounded buffer.

use core::ffi::CStr;

use heapless::Vec;

use crate::bytes::{Malformed, Reader, Writer};

/// Bytes of one service's arguments, NULs included.
pub const MAX_ARGS_BYTES: usize = 1536;

/// Words in one bounded buffer, each ended by a NUL as `execve` wants them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    bytes: Vec<u8, MAX_ARGS_BYTES>,
}

impl Args {
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Refuses a word with a NUL in it and one that does not fit.
    pub fn push(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if word.contains(&0) {
            return Err(Malformed("an argument contains a NUL byte"));
        }
        let full = Malformed("the arguments are longer than 1536 bytes");
        if self.bytes.capacity() - self.bytes.len() <= word.len() {
            return Err(full);
        }
        self.bytes.extend_from_slice(word).map_err(|_| full)?;
        self.bytes.push(0).map_err(|_| full)
    }

    /// The words, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0).map(|word| &word[..word.len() - 1])
    }

    /// The words as C strings, in place.
    pub fn c_words(&self) -> impl Iterator<Item = &CStr> {
        let words = self.bytes.split_inclusive(|&byte| byte == 0);
        words.filter_map(|word| CStr::from_bytes_with_nul(word).ok())
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let len = reader.u16()?;
        let bytes = reader.take(usize::from(len))?;
        if bytes.last().is_some_and(|&last| last != 0) {
            return Err(Malformed("the last argument has no end"));
        }
        Vec::from_slice(bytes)
            .map(|bytes| Self { bytes })
            .map_err(|_| Malformed("the arguments are longer than 1536 bytes"))
    }

    pub(super) fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.u16(self.bytes.len() as u16);
        writer.put(&self.bytes);
    }
}
