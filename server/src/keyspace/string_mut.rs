//! Editing a string where it lies: INCR, APPEND, SETRANGE, SETBIT.

use super::{
    db::Db,
    entry::{Content, INLINE_MAX},
    table::Place,
};
use crate::types::string::{Digits, StrRef};

/// A string value, for editing it in place.
pub struct StrMut<'a> {
    pub(super) db: &'a mut Db,
    pub(super) place: Place,
}

impl StrMut<'_> {
    pub fn view(&self) -> StrRef<'_> {
        self.db.table.slot(self.place).entry().string()
    }

    /// Replaces the value by an integer, in place where an integer was.
    pub fn set_int(&mut self, int: i64) {
        let expire_at = self.expire_at();
        self.db.change(self.place, |mut entry, heap| {
            if entry.set_int_in_place(int) {
                return entry;
            }
            entry.rewrite(heap, expire_at, Content::Int(int), false)
        });
    }

    /// APPEND; returns the new length.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let old_len = self.view().len();
        self.set_range(old_len, bytes)
    }

    /// SETRANGE: `bytes` at `offset`, zeros in a gap; returns the new length. The caller has
    /// checked the length against `proto-max-bulk-len`.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let room = self.bytes_mut(offset + bytes.len());
        room[offset..offset + bytes.len()].copy_from_slice(bytes);
        room.len()
    }

    /// The text, made at least `min_len` long with zeros, for SETBIT and its like. The value is
    /// `raw` from now on.
    pub fn bytes_mut(&mut self, min_len: usize) -> &mut [u8] {
        let text = match self.view() {
            StrRef::Bytes(bytes) if bytes.len() >= min_len => None,
            StrRef::Bytes(bytes) => Some(bytes.len()),
            StrRef::Int(_) => Some(self.view().len()),
        };
        if let Some(old_len) = text {
            self.grow(min_len.max(old_len));
        }
        self.db.before_change(self.place);
        let slot = self.db.table.slot_mut(self.place);
        slot.edit_bytes().expect("an integer was made text above")
    }

    /// Makes the value bytes, `len` of them.
    fn grow(&mut self, len: usize) {
        let expire_at = self.expire_at();
        self.db.change(self.place, |mut entry, heap| {
            if entry.edit_vector(|vector| extend(vector, len)).is_some() {
                return entry;
            }
            let mut digits = Digits::new();
            let view = entry.entry().string();
            let text = view.bytes(&mut digits);
            let mut inline = [0; INLINE_MAX];
            if len <= INLINE_MAX {
                inline[..text.len()].copy_from_slice(text);
                return entry.rewrite(heap, expire_at, Content::Inline(&inline[..len]), true);
            }
            let mut vector = text.to_vec();
            extend(&mut vector, len);
            entry.rewrite(heap, expire_at, Content::Vector(vector), true)
        });
    }

    fn expire_at(&self) -> Option<i64> {
        self.db.table.slot(self.place).entry().expire_at()
    }
}

/// Lengthens with zeros. Leaves as much room again for what may follow, but at most 1 MiB, as
/// Redis' strings do.
fn extend(vector: &mut Vec<u8>, len: usize) {
    const MOST_SLACK: usize = 1 << 20;
    if len > vector.capacity() {
        vector.reserve_exact(len + len.min(MOST_SLACK) - vector.len());
    }
    vector.resize(len, 0);
}
