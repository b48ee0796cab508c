//! What a node far from both ends holds, compressed.

use crate::lzf::{self, Compressor};

/// Nodes of fewer bytes stay as they are.
pub(super) const LEAST_LEN: usize = 48;
/// So do those that would be shorter by less.
const LEAST_GAIN: usize = 8;

#[derive(Clone, Debug)]
pub struct Squeezed {
    /// The length of what is compressed: a listpack in RDB's form, or a plain element.
    pub len: usize,
    pub is_plain: bool,
    /// LZF.
    pub bytes: Box<[u8]>,
}

impl Squeezed {
    /// `None` if that is not worth it.
    pub(super) fn of(bytes: &[u8], is_plain: bool) -> Option<Box<Self>> {
        let mut compressor = Compressor::default();
        let compressed = compressor.compress(bytes)?;
        let is_worth_it = compressed.len() + LEAST_GAIN <= bytes.len();
        is_worth_it.then(|| Box::new(Self { len: bytes.len(), is_plain, bytes: compressed.into() }))
    }

    /// What was compressed.
    pub(super) fn decompressed(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        assert!(lzf::decompress(&self.bytes, self.len, &mut out), "it was compressed here");
        out
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }
}
