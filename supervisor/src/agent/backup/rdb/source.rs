//! The bytes of a file as RDB's numbers and strings, with both checksums taken on the way.

use std::io::Read;

use crc::{CRC_64_REDIS, Crc, Digest, Table};
use sha2::{Digest as _, Sha256};

use super::Fault;

/// One table: fifteen more would be 30 KB, and a disk or a socket is slower.
static TABLES: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_REDIS);
const BUFFER_BYTES: usize = 64 * 1024;

pub(super) struct Source<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What of the buffer is read, and how far it is filled.
    at: usize,
    filled: usize,
    /// Bytes of the file in front of the buffer.
    before: u64,
    /// Of everything in front of the buffer.
    crc: Digest<'static, u64, Table<1>>,
    sha256: Sha256,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            at: 0,
            filled: 0,
            before: 0,
            crc: TABLES.digest(),
            sha256: Sha256::new(),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// RDB's own checksum of everything that was read.
    pub(super) fn checksum(&self) -> u64 {
        let mut crc = self.crc.clone();
        crc.update(&self.buffer[..self.at]);
        crc.finalize()
    }

    /// The length of the file and its SHA-256; nothing may be left.
    pub(super) fn finish(mut self) -> Result<(u64, String), Fault> {
        if self.at < self.filled || self.refill()? {
            return Err(Fault::Tail);
        }
        let sha256 = self.sha256.finalize();
        let hex = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((self.before, hex))
    }

    /// False at the end of the file.
    fn refill(&mut self) -> Result<bool, Fault> {
        let passed = &self.buffer[..self.filled];
        self.crc.update(passed);
        self.sha256.update(passed);
        self.before += self.filled as u64;
        (self.at, self.filled) = (0, 0);
        loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Io(error)),
                Ok(filled) => {
                    self.filled = filled;
                    return Ok(filled > 0);
                }
            }
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        if self.at == self.filled && !self.refill()? {
            return Err(Fault::Torn(self.position()));
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, mut bytes: u64) -> Result<(), Fault> {
        while bytes > 0 {
            if self.at == self.filled && !self.refill()? {
                return Err(Fault::Torn(self.position()));
            }
            let step = bytes.min((self.filled - self.at) as u64);
            self.at += step as usize;
            bytes -= step;
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        match self.length()? {
            Length::Plain(number) => Ok(number),
            Length::Encoded(_) => Err(self.unknown("a number is none")),
        }
    }

    pub(super) fn numbers(&mut self, count: u64) -> Result<(), Fault> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    pub(super) fn strings(&mut self, count: u64) -> Result<(), Fault> {
        (0..count).try_for_each(|_| self.string())
    }

    fn string(&mut self) -> Result<(), Fault> {
        match self.length()? {
            Length::Plain(bytes) => self.skip(bytes),
            Length::Encoded(0) => self.skip(1),
            Length::Encoded(1) => self.skip(2),
            Length::Encoded(2) => self.skip(4),
            Length::Encoded(3) => {
                let (packed, _unpacked) = (self.number()?, self.number()?);
                self.skip(packed)
            }
            Length::Encoded(_) => Err(self.unknown("a string of an unknown encoding")),
        }
    }

    /// Two bits tell: 6 bits, 14 bits, 4 or 8 bytes, or a string that is not plain.
    fn length(&mut self) -> Result<Length, Fault> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Length::Plain(low.into()),
            1 => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            2 => return Err(self.unknown("a length of an unknown form")),
            _ => Length::Encoded(low),
        })
    }

    pub(super) fn unknown(&self, what: &'static str) -> Fault {
        Fault::Unknown(what, self.position())
    }
}

enum Length {
    Plain(u64),
    Encoded(u8),
}
