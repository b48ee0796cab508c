//! A file read piece by piece, with as much of it in memory as its reader still needs.

use std::io::{self, Read};

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

pub(super) struct Input {
    file: Box<dyn Read + Send>,
    /// Whole pieces of the file: from `start` on they are still needed.
    buffer: Vec<u8>,
    start: usize,
    /// Where in the file `buffer[start]` is.
    offset: u64,
    /// Bytes of the file that will not be read.
    left: u64,
}

impl Input {
    /// Reads `len` bytes at most.
    pub(super) fn new(file: Box<dyn Read + Send>, len: u64) -> Self {
        Self { file, buffer: Vec::new(), start: 0, offset: 0, left: len }
    }

    /// What is in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Where in the file that begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The first `len` bytes are needed no more.
    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads on, `missing` bytes if it can; whether there was anything. What is in memory stays at
    /// its place in [`bytes`](Self::bytes).
    pub(super) fn more(&mut self, missing: usize) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        // However long something claims to be, no more is kept than twice what is there.
        let wanted = missing.clamp(READ_BYTES, READ_BYTES.max(self.buffer.len())) as u64;
        let wanted = wanted.min(self.left);
        let read = self.file.by_ref().take(wanted).read_to_end(&mut self.buffer)? as u64;
        self.left -= read;
        Ok(read > 0)
    }

    /// Skips to this place of the file, if it has one.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        while self.offset < offset {
            let here = self.bytes().len() as u64;
            if here == 0 && !self.more(1)? {
                return Ok(());
            }
            let step = (offset - self.offset).min(self.bytes().len() as u64);
            self.consume(usize::try_from(step).unwrap_or(0));
        }
        Ok(())
    }
}
