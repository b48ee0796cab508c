//! Who owns an entry's memory: making it, writing into it, taking its value out.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::packed::{PACKED_MAX, Packed};
use super::{
    COLLECTION, COLLECTION_ALIGN, Content, EDITED, EXPIRY, Entry, FORM, HEADER, INLINE, INLINE_MAX,
    INT32, INT64, LONG_KEY, SETTLED, SHORT_KEY_MAX, VECTOR, expiry_flags, expiry_size, inline_size,
    key_offset, packed_of, write_header,
};
use crate::keyspace::heap::{Density, Heap, piece_size};
use crate::keyspace::value::Value;
use crate::types::collection::Collection;
use crate::types::string::{Str, StrRef};

/// A value of so many bytes is not moved: copying it would keep everybody waiting, and the allocator
/// gives pages of their own to so much.
pub(in crate::keyspace) const MOVED_MAX: usize = 16 * 1024;

/// The owner of one entry's memory. Goes back to the [`Heap`] that made it: each database has one
/// heap, and its entries never leave it.
pub(in crate::keyspace) struct OwnedEntry(NonNull<u8>);

impl OwnedEntry {
    pub(in crate::keyspace) fn new(
        heap: &mut Heap,
        access: u32,
        key: &[u8],
        expire_at: Option<i64>,
        content: Content<'_>,
        edited: bool,
    ) -> Self {
        if let Some(packed) = content.packed() {
            return Self::new(heap, access, key, expire_at, packed, edited);
        }
        let long_key = if key.len() > SHORT_KEY_MAX { LONG_KEY } else { 0 };
        let flags = long_key | expiry_flags(expire_at);
        let size = content.end(key_offset(flags) + key.len() + expiry_size(flags));
        let start = heap.alloc(size);
        // SAFETY: the piece is new and has room for all that is written, as `size` counts it.
        unsafe {
            write_header(start, flags, access);
            let at = start.as_ptr().add(HEADER);
            if long_key == 0 {
                at.write(key.len() as u8);
            } else {
                let len = u32::try_from(key.len()).expect("keys are limited to 512 MB");
                at.cast::<u32>().write_unaligned(len.to_le());
            }
            let at = start.as_ptr().add(key_offset(flags));
            at.copy_from_nonoverlapping(key.as_ptr(), key.len());
            write_tail(start, flags, key.len(), expire_at, content, edited);
        }
        Self(start)
    }

    /// For the slot that holds it.
    #[inline]
    pub(in crate::keyspace) fn into_raw(self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// `start` is from [`Self::into_raw`], and nobody else takes it back or reads it after.
    #[inline]
    pub(in crate::keyspace) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Self(start)
    }

    #[inline]
    pub(in crate::keyspace) fn entry(&self) -> Entry<'_> {
        // SAFETY: the entry is ours, and borrowed for as long.
        unsafe { Entry::from_raw(self.0) }
    }

    /// Other content and expiry for the same key; drops the old content. Stays where it is if the
    /// size's class does.
    #[inline]
    pub(in crate::keyspace) fn rewrite(
        mut self,
        heap: &mut Heap,
        expire_at: Option<i64>,
        content: Content<'_>,
        edited: bool,
    ) -> Self {
        drop(self.take_value());
        self.refill(heap, expire_at, content, edited)
    }

    /// Fills an entry whose value was taken out.
    pub(in crate::keyspace) fn refill(
        self,
        heap: &mut Heap,
        expire_at: Option<i64>,
        content: Content<'_>,
        edited: bool,
    ) -> Self {
        if let Some(packed) = content.packed() {
            return self.refill(heap, expire_at, packed, edited);
        }
        let entry = self.entry();
        let flags = (entry.flags() & (LONG_KEY | SETTLED)) | expiry_flags(expire_at);
        let key = entry.key();
        let new_size = content.end(key_offset(flags) + key.len() + expiry_size(flags));
        if piece_size(new_size) != piece_size(entry.size()) {
            let new = Self::new(heap, entry.access(), key, expire_at, content, edited);
            new.entry().set_settled(entry.is_settled());
            self.free_piece(heap);
            return new;
        }
        let key_len = key.len();
        // SAFETY: the piece is ours and of the class of `new_size`, and the key stays.
        unsafe { write_tail(self.0, flags, key_len, expire_at, content, edited) };
        self
    }

    /// Another expiry; the value stays.
    pub(in crate::keyspace) fn set_expire(
        mut self,
        heap: &mut Heap,
        expire_at: Option<i64>,
    ) -> Self {
        let flags = self.entry().flags();
        let new_flags = (flags & !EXPIRY) | expiry_flags(expire_at);
        if new_flags == flags {
            let at = key_offset(flags) + self.entry().key().len();
            // SAFETY: the expiry has the same width as before, at the same place.
            unsafe { write_expiry(self.0, at, flags, expire_at) };
            return self;
        }
        let packed = packed_of(flags);
        let edited = flags & EDITED != 0 && packed.is_none();
        let mut copy = [0; if PACKED_MAX > INLINE_MAX { PACKED_MAX } else { INLINE_MAX }];
        let content = match self.take_value() {
            Some(Value::Collection(collection)) => Content::Collection(collection),
            Some(Value::Str(Str::Bytes(vector) | Str::Raw(vector))) => Content::Vector(vector),
            Some(Value::Str(Str::Int(int))) => Content::Int(int),
            None => match packed {
                Some(packed) => {
                    let bytes = self.entry().packed_bytes(packed);
                    Content::Packed(packed, copied(&mut copy, bytes))
                }
                None => match self.entry().string() {
                    StrRef::Int(int) => Content::Int(int),
                    StrRef::Bytes(bytes) => Content::Inline(copied(&mut copy, bytes)),
                },
            },
        };
        self.refill(heap, expire_at, content, edited)
    }

    /// Sets an integer in place; false if that takes another size of entry.
    pub(in crate::keyspace) fn set_int_in_place(&mut self, int: i64) -> bool {
        let entry = self.entry();
        let (flags, at) = (entry.flags(), entry.value_offset());
        // SAFETY: the value's form says that so many bytes at this offset are its own.
        unsafe {
            let value = self.0.as_ptr().add(at);
            match flags & FORM {
                INT64 => value.cast::<i64>().write_unaligned(int.to_le()),
                INT32 => match i32::try_from(int) {
                    Ok(int) => value.cast::<i32>().write_unaligned(int.to_le()),
                    Err(_) => return false,
                },
                _ => return false,
            }
        }
        true
    }

    /// The bytes of an inline value or a vector; `None` for an integer. The caller is going to
    /// edit them, so the entry counts as edited.
    ///
    /// # Safety
    /// `start` is a live entry, which nobody reads or writes during `'a`.
    pub(in crate::keyspace) unsafe fn edit_bytes<'a>(start: NonNull<u8>) -> Option<&'a mut [u8]> {
        // SAFETY: the caller's.
        let entry = unsafe { Entry::from_raw(start) };
        let at = entry.value_offset();
        let (data, len) = match entry.flags() & FORM {
            INLINE => {
                let (header, len) = entry.inline_len(at);
                // SAFETY: an inline value's bytes follow its length.
                (unsafe { start.as_ptr().add(at + header) }, len)
            }
            VECTOR => entry.vector_words(at),
            _ => return None,
        };
        mark_edited(start);
        // SAFETY: the range is the value's own, apart from the header, and nobody else's during
        // `'a`.
        Some(unsafe { std::slice::from_raw_parts_mut(data, len) })
    }

    /// Works on the value's vector; `None` if it has none.
    pub(in crate::keyspace) fn edit_vector<T>(
        &mut self,
        edit: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> Option<T> {
        let entry = self.entry();
        if entry.flags() & FORM != VECTOR {
            return None;
        }
        let at = entry.value_offset();
        // SAFETY: the form says so. The vector's words are written back below; should `edit`
        // panic they are stale, and the process ends (panic = abort) or leaks the vector.
        let mut vector = unsafe { read_vector(self.0, at) };
        // SAFETY: makes the entry hold no vector while `edit` has it.
        unsafe { write_vector(self.0, at, Vec::new()) };
        let result = edit(&mut vector);
        // SAFETY: the same place as before.
        unsafe { write_vector(self.0, at, vector) };
        mark_edited(self.0);
        Some(result)
    }

    /// Frees the entry; a value with memory of its own comes back, not freed.
    pub(in crate::keyspace) fn destroy(mut self, heap: &mut Heap) -> Option<Value> {
        let value = self.take_value();
        self.free_piece(heap);
        value
    }

    /// The same entry in another piece, if its slab is not as full as asked for and that leaves the
    /// heap's slabs fuller; whether it moved.
    pub(in crate::keyspace) fn gathered(self, heap: &mut Heap, density: Density) -> (Self, bool) {
        let size = self.entry().size();
        if !heap.is_misplaced(self.0, size, density) {
            return (self, false);
        }
        let start = heap.alloc(size);
        // SAFETY: both pieces have `size` bytes, and an entry may lie anywhere: what it owns goes
        // with it, since the old piece is freed without a look at the value.
        unsafe { start.as_ptr().copy_from_nonoverlapping(self.0.as_ptr(), size) };
        self.free_piece(heap);
        (Self(start), true)
    }

    /// Puts a value's own memory elsewhere: the allocator fills its fullest pages first, so that
    /// others run empty. Values beyond [`MOVED_MAX`] stay. How many bytes moved.
    pub(in crate::keyspace) fn renew_value(&mut self) -> usize {
        let entry = self.entry();
        let at = entry.value_offset();
        match entry.flags() & FORM {
            VECTOR => {
                // SAFETY: the form says that a vector is there; it goes back whatever becomes of it.
                let old = unsafe { read_vector(self.0, at) };
                let bytes = old.capacity();
                if bytes >= MOVED_MAX {
                    let _ = ManuallyDrop::new(old);
                    return 0;
                }
                let mut new = Vec::with_capacity(old.capacity());
                new.extend_from_slice(&old);
                // SAFETY: the same place.
                unsafe { write_vector(self.0, at, new) };
                bytes
            }
            COLLECTION => {
                // SAFETY: the form says that a collection is there, and the entry is ours.
                let collection = unsafe { entry.collection_at(at).as_mut() };
                let bytes = collection.memory_bytes();
                if collection.ticket().is_some() || bytes >= MOVED_MAX {
                    return 0;
                }
                let new = collection.clone();
                *collection = new;
                bytes
            }
            _ => 0,
        }
    }

    fn free_piece(self, heap: &mut Heap) {
        let size = self.entry().size();
        // SAFETY: the piece is this heap's (see the type), of the class of `size`: entries are
        // made for their size and keep its class.
        unsafe { heap.free(self.0, size) };
    }

    /// Takes out a value that has memory of its own. The entry is hollow after that: it must be
    /// refilled or freed before anybody looks at its value.
    #[inline]
    pub(in crate::keyspace) fn take_value(&mut self) -> Option<Value> {
        let entry = self.entry();
        let flags = entry.flags();
        let at = entry.value_offset();
        match flags & FORM {
            VECTOR => {
                // SAFETY: the form says that a vector is there; an empty one takes its place.
                let vector = unsafe { read_vector(self.0, at) };
                // SAFETY: the same place.
                unsafe { write_vector(self.0, at, Vec::new()) };
                let edited = flags & EDITED != 0;
                Some(Value::Str(if edited { Str::Raw(vector) } else { Str::Bytes(vector) }))
            }
            // SAFETY: the form says that a collection is there; nobody reads it again (see above).
            COLLECTION => Some(Value::Collection(unsafe { entry.collection_at(at).read() })),
            _ => None,
        }
    }

    /// Gives a packed collection other bytes, if that takes no other size of entry; whether it did.
    ///
    /// # Safety
    /// `start` is a live entry, which nobody else reads or writes meanwhile.
    pub(in crate::keyspace) unsafe fn repack(start: NonNull<u8>, collection: &Collection) -> bool {
        // SAFETY: the caller's.
        let entry = unsafe { Entry::from_raw(start) };
        let at = entry.value_offset();
        match Packed::of(collection) {
            Some((packed, bytes))
                if packed_of(entry.flags()) == Some(packed)
                    && piece_size(at + bytes.len()) == piece_size(entry.size()) =>
            {
                // SAFETY: the value lies at `at`, and the piece's class has room for so many bytes.
                unsafe {
                    start.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
                true
            }
            _ => false,
        }
    }

    /// The collection of a live entry, unless it is packed.
    ///
    /// # Safety
    /// `start` is a live entry, which nobody reads or writes during `'a`.
    #[inline]
    pub(in crate::keyspace) unsafe fn edit_collection<'a>(
        start: NonNull<u8>,
    ) -> Option<&'a mut Collection> {
        // SAFETY: the caller's.
        let entry = unsafe { Entry::from_raw(start) };
        if entry.flags() & FORM != COLLECTION {
            return None;
        }
        // SAFETY: the form says that a collection is there; it is nobody else's during `'a`.
        Some(unsafe { entry.collection_at(entry.value_offset()).as_mut() })
    }
}

fn mark_edited(start: NonNull<u8>) {
    // SAFETY: callers own the entry; its first byte is the flags.
    unsafe { *start.as_ptr() |= EDITED };
}

/// Writes all that follows the key, and the flags that say what it is.
///
/// # Safety
/// `start` is a piece of the class for this key length, expiry and content, and its header is
/// written.
unsafe fn write_tail(
    start: NonNull<u8>,
    flags: u8,
    key_len: usize,
    expire_at: Option<i64>,
    content: Content<'_>,
    edited: bool,
) {
    let flags =
        (flags & (LONG_KEY | EXPIRY | SETTLED)) | content.form() | if edited { EDITED } else { 0 };
    let at = key_offset(flags) + key_len;
    let form = content.form();
    // SAFETY: the caller's; the offsets are those that the size was computed from.
    unsafe {
        start.write(flags);
        write_expiry(start, at, flags, expire_at);
        let at = at + expiry_size(flags);
        let value = start.as_ptr().add(at);
        match content {
            Content::Int(int) if form == INT32 => {
                value.cast::<i32>().write_unaligned((int as i32).to_le());
            }
            Content::Int(int) => value.cast::<i64>().write_unaligned(int.to_le()),
            Content::Inline(bytes) => {
                let len = bytes.len();
                if len < 0x80 {
                    value.write(len as u8);
                } else {
                    value.write((len >> 8) as u8 | 0x80);
                    value.add(1).write(len as u8);
                }
                let at = value.add(inline_size(len) - len);
                at.copy_from_nonoverlapping(bytes.as_ptr(), len);
            }
            Content::Vector(vector) => write_vector(start, at, vector),
            Content::Packed(_, bytes) => {
                value.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
            Content::Collection(collection) => {
                let at = at.next_multiple_of(COLLECTION_ALIGN);
                start.as_ptr().add(at).cast::<Collection>().write(collection);
            }
        }
    }
}

/// # Safety
/// The expiry, as wide as `flags` say, lies at `at`.
unsafe fn write_expiry(start: NonNull<u8>, at: usize, flags: u8, expire_at: Option<i64>) {
    let Some(expire_at) = expire_at else { return };
    let bytes = expire_at.to_le_bytes();
    // SAFETY: the caller's.
    unsafe {
        start.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), expiry_size(flags));
    }
}

/// # Safety
/// A vector's words lie at `at`; whoever calls this owns the vector then.
unsafe fn read_vector(start: NonNull<u8>, at: usize) -> Vec<u8> {
    // SAFETY: the caller's; the words are those of a vector that `write_vector` took apart.
    unsafe {
        let words = start.as_ptr().add(at);
        let data = words.cast::<*mut u8>().read_unaligned();
        let len = words.add(size_of::<usize>()).cast::<usize>().read_unaligned();
        let capacity = words.add(2 * size_of::<usize>()).cast::<usize>().read_unaligned();
        Vec::from_raw_parts(data, len, capacity)
    }
}

/// # Safety
/// `VECTOR_LEN` bytes at `at` are the value's.
unsafe fn write_vector(start: NonNull<u8>, at: usize, vector: Vec<u8>) {
    let mut vector = ManuallyDrop::new(vector);
    // SAFETY: the caller's.
    unsafe {
        let words = start.as_ptr().add(at);
        words.cast::<*mut u8>().write_unaligned(vector.as_mut_ptr());
        words.add(size_of::<usize>()).cast::<usize>().write_unaligned(vector.len());
        words.add(2 * size_of::<usize>()).cast::<usize>().write_unaligned(vector.capacity());
    }
}

/// `bytes`, which may lie in an entry that is about to be written, in `room`.
fn copied<'a>(room: &'a mut [u8], bytes: &[u8]) -> &'a [u8] {
    let room = &mut room[..bytes.len()];
    room.copy_from_slice(bytes);
    room
}
