//! An entry while it is put together: on the stack, unless it is big.

use std::ops::Deref;

use super::entry::write_id;
use crate::types::listpack::encode::Element;
use crate::types::stream::StreamId;

/// What most entries take.
const FEW: usize = 256;

pub(super) struct Scratch {
    few: [u8; FEW],
    len: usize,
    /// All of it, once it is more than a few bytes.
    many: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { few: [0; FEW], len: 0, many: Vec::new() }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.few.get_mut(self.len..end) {
            Some(room) if self.many.is_empty() => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            _ => self.put_many(bytes),
        }
    }

    #[cold]
    fn put_many(&mut self, bytes: &[u8]) {
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few[..self.len]);
        }
        self.many.extend_from_slice(bytes);
    }

    pub(super) fn put_id(&mut self, flags: u8, master: StreamId, id: StreamId) {
        write_id(flags, master, id, |bytes| self.put(bytes));
    }

    pub(super) fn put_element(&mut self, element: Element<'_>) {
        element.pieces().into_iter().for_each(|piece| self.put(piece));
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.many.is_empty() { &self.few[..self.len] } else { &self.many }
    }
}
