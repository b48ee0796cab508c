//! Bytes of a snapshot on their way to whoever keeps them.

use crate::rdb::Deferred;

/// Some bytes of a file, of whatever length.
#[derive(Debug)]
pub struct Chunk {
    content: Content,
    ends_item: bool,
}

#[derive(Debug)]
enum Content {
    Written {
        bytes: Deferred,
        compress: bool,
    },
    /// A string that left the keyspace, from `start` on.
    Rest {
        text: Vec<u8>,
        start: usize,
    },
}

impl Chunk {
    pub(super) fn written(bytes: Deferred, compress: bool, ends_item: bool) -> Self {
        Self { content: Content::Written { bytes, compress }, ends_item }
    }

    /// The end of a string's bytes.
    pub(super) fn rest(text: Vec<u8>, start: usize) -> Self {
        Self { content: Content::Rest { text, start }, ends_item: true }
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        match &self.content {
            Content::Written { bytes, .. } => bytes.len(),
            Content::Rest { text, .. } => text.len(),
        }
    }

    /// Whether it ends where a key does, so that something may be put between.
    pub fn ends_item(&self) -> bool {
        self.ends_item
    }

    /// The bytes as they go to the file. Compresses them, where that is wanted: to be called outside
    /// the engine's lock.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.content {
            Content::Written { bytes, compress: true } => bytes.compressed(),
            Content::Written { bytes, compress: false } => bytes.plain(),
            Content::Rest { mut text, start } => {
                text.drain(..start);
                text
            }
        }
    }
}
