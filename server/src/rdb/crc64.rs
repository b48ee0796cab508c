//! The checksum of payloads and files: CRC-64 "Jones", as Redis has it.

use std::sync::LazyLock;

use crc::{CRC_64_REDIS, Crc, Digest, Table};

/// Made at the first use: in the program they would be 32 KB that no compression makes smaller.
static TABLES: LazyLock<Box<Crc<u64, Table<16>>>> =
    LazyLock::new(|| Box::new(Crc::<u64, Table<16>>::new(&CRC_64_REDIS)));

/// A checksum of bytes that come piece by piece.
#[derive(Clone)]
pub struct Crc64(Digest<'static, u64, Table<16>>);

impl Default for Crc64 {
    fn default() -> Self {
        Self(TABLES.digest())
    }
}

impl Crc64 {
    pub fn of(bytes: &[u8]) -> u64 {
        TABLES.checksum(bytes)
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything so far; more may come.
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_checksum_of_the_whole() {
        // The check value of Redis' crc64.c.
        assert_eq!(Crc64::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut crc = Crc64::default();
        assert_eq!(crc.value(), 0);
        crc.update(b"1234");
        assert_eq!(crc.value(), Crc64::of(b"1234"));
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xe9c6_d914_c4b8_d9ca);
    }
}
