//! A file's bytes on their way to the reader: block by block, their checksum taken by the stroke, and
//! no more memory than bytes have come.

use std::io::{self, ErrorKind, Read};

use crate::rdb::crc64::Crc64;
use crate::rdb::read::{Error, Result, Source};

/// Read at a time.
const BLOCK: usize = 256 * 1024;

/// Compiled once for all that is read from: a call through a table for each block costs nothing.
pub(super) struct Input<'f> {
    file: &'f mut dyn Read,
    /// All of it can be written to; `at..end` is still to be read.
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// The place in the file where the buffer begins.
    start: u64,
    /// Of everything in front of `summed`; `None` where nobody wants to know.
    crc: Option<Crc64>,
    summed: usize,
    failed: Option<io::Error>,
}

impl<'f> Input<'f> {
    pub(super) fn new(file: &'f mut dyn Read, sums: bool) -> Self {
        let crc = sums.then(Crc64::default);
        Self { file, buffer: Vec::new(), at: 0, end: 0, start: 0, crc, summed: 0, failed: None }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    /// The checksum of all that was read but for the last `len` bytes, which were taken at once;
    /// `None` if none is taken.
    pub(super) fn checksum_before(&mut self, len: usize) -> Option<u64> {
        self.sum(self.at - len);
        self.crc.as_ref().map(Crc64::value)
    }

    /// Why the bytes ended, if the file could not be read.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    fn sum(&mut self, until: usize) {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer[self.summed..until]);
        }
        self.summed = until;
    }

    /// Reads until `len` bytes are there.
    #[cold]
    fn fill(&mut self, len: usize) -> Result {
        self.drop_read();
        while self.end < len {
            if self.end == self.buffer.len() {
                // What was announced is not believed: twice what has come, at most.
                let room = len.min(self.end.saturating_mul(2)).max(BLOCK);
                self.buffer.resize(room, 0);
            }
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Error::Ends),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    return Err(Error::Ends);
                }
            }
        }
        Ok(())
    }

    /// Moves what is still to be read to the front.
    fn drop_read(&mut self) {
        self.sum(self.at);
        self.buffer.copy_within(self.at..self.end, 0);
        self.start += self.at as u64;
        self.end -= self.at;
        (self.at, self.summed) = (0, 0);
        if self.buffer.len() > BLOCK && self.end <= BLOCK {
            self.buffer.truncate(BLOCK);
            self.buffer.shrink_to_fit();
        }
    }
}

impl Source for Input<'_> {
    #[inline]
    fn take(&mut self, len: usize) -> Result<&[u8]> {
        if self.end - self.at < len {
            self.fill(len)?;
        }
        let taken = &self.buffer[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// Past the buffer, so that a long string is there only once.
    fn take_vec(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            if self.at == self.end {
                self.fill(1)?;
            }
            let come = (self.end - self.at).min(len - bytes.len());
            if bytes.capacity() - bytes.len() < come {
                bytes.reserve_exact((len - bytes.len()).min(bytes.len() + come));
            }
            bytes.extend_from_slice(self.take(come)?);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, then fails.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(ErrorKind::TimedOut.into());
            }
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    #[test]
    fn bytes_come_in_order_with_their_checksum() {
        let bytes: Vec<u8> = (0..700_000u32).map(|nth| (nth % 251) as u8).collect();
        for step in [1000, usize::MAX] {
            let mut file = Slow(&bytes, step);
            let mut input = Input::new(&mut file, true);
            let mut at = 0;
            for len in [0, 1, 9, 300_000, 250_000, 7] {
                assert_eq!(input.take(len), Ok(&bytes[at..at + len]));
                at += len;
                assert_eq!(input.position(), at as u64);
                assert_eq!(input.checksum_before(0), Some(Crc64::of(&bytes[..at])));
            }
            assert_eq!(input.take_vec(100_000), Ok(bytes[at..at + 100_000].to_vec()));
            at += 100_000;
            assert_eq!(input.checksum_before(0), Some(Crc64::of(&bytes[..at])));
            assert_eq!(input.take(100_000), Err(Error::Ends));
            assert_eq!(input.take_failure().map(|error| error.kind()), Some(ErrorKind::TimedOut));
            assert_eq!(input.position(), at as u64);
        }
    }

    #[test]
    fn memory_is_taken_for_bytes_that_come_only() {
        let mut file = &[0; 10][..];
        let mut input = Input::new(&mut file, true);
        assert_eq!(input.take(1 << 30), Err(Error::Ends));
        assert_eq!(input.take_vec(1 << 30), Err(Error::Ends));
        assert!(input.buffer.capacity() <= BLOCK);
        let mut file = io::repeat(1).take(1 << 22);
        let mut input = Input::new(&mut file, false);
        assert!(input.take(1 << 21).is_ok_and(|bytes| bytes.len() == 1 << 21));
        assert_eq!(input.checksum_before(0), None);
        assert!(input.take(9).is_ok());
        assert!(input.buffer.capacity() <= BLOCK);
    }
}
