//! An entry where it lies, for reading.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::packed::Packed;
use super::{
    COLLECTION, COLLECTION_ALIGN, CollectionRef, EDITED, FORM, HEADER, INLINE, INT32, INT64,
    LONG_KEY, OwnedEntry, SETTLED, VECTOR, VECTOR_LEN, expiry_size, key_offset, packed_of,
    write_header,
};
use crate::keyspace::heap::{is_alone, piece_size};
use crate::keyspace::value::{Encoding, Held, Value};
use crate::types::collection::{Collection, Kind};
use crate::types::string::{Str, StrRef, StringEncoding, embeds};

/// A key where it lies in the table: a cheap handle for reading.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    start: NonNull<u8>,
    owner: PhantomData<&'a OwnedEntry>,
}

impl<'a> Entry<'a> {
    /// # Safety
    /// `start` is from [`OwnedEntry::into_raw`], and the entry is neither freed nor written to
    /// (but for its access bits) during `'a`.
    #[inline]
    pub(in crate::keyspace) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Self { start, owner: PhantomData }
    }

    #[inline]
    pub fn key(self) -> &'a [u8] {
        let flags = self.flags();
        self.slice(key_offset(flags), self.key_len(flags))
    }

    #[inline]
    pub fn value(self) -> Held<'a> {
        match self.collection() {
            None => Held::Str(self.string()),
            Some(collection) => Held::Collection(collection),
        }
    }

    /// The value's type.
    #[inline]
    pub fn kind(self) -> Kind {
        match packed_of(self.flags()) {
            Some(packed) => packed.kind(),
            None => self.large_collection().map_or(Kind::String, Collection::kind),
        }
    }

    /// The value, unless it is a string.
    #[inline]
    pub fn collection(self) -> Option<CollectionRef<'a>> {
        if let Some(packed) = packed_of(self.flags()) {
            // SAFETY: the form says that such a block is there; it changes only where the entry is
            // borrowed mutably.
            return Some(unsafe { packed.show_at(self.start.add(self.value_offset())) });
        }
        self.large_collection().map(CollectionRef::There)
    }

    /// The value if it is a collection that is not packed. Others are not saved in parts, and have no
    /// deadlines within.
    #[inline]
    pub(in crate::keyspace) fn large_collection(self) -> Option<&'a Collection> {
        if self.flags() & FORM != COLLECTION {
            return None;
        }
        // SAFETY: the form says that a collection is there; it changes only where the entry is
        // borrowed mutably.
        Some(unsafe { self.collection_at(self.value_offset()).as_ref() })
    }

    /// The block of a packed collection.
    pub(super) fn packed_bytes(self, packed: Packed) -> &'a [u8] {
        let at = self.value_offset();
        // SAFETY: the form says that such a block is there.
        self.slice(at, unsafe { packed.len_at(self.start.add(at)) })
    }

    /// Where the collection lies of an entry whose value begins at or after `at`.
    pub(super) fn collection_at(self, at: usize) -> NonNull<Collection> {
        debug_assert_eq!(self.flags() & FORM, COLLECTION);
        // SAFETY: the form says that the entry goes on behind `at`.
        unsafe { self.start.add(at.next_multiple_of(COLLECTION_ALIGN)).cast() }
    }

    /// Unix milliseconds on the server's timeline.
    #[inline]
    pub fn expire_at(self) -> Option<i64> {
        let flags = self.flags();
        let width = expiry_size(flags);
        if width == 0 {
            return None;
        }
        let mut bytes = [0; 8];
        let at = key_offset(flags) + self.key_len(flags);
        bytes[..width].copy_from_slice(self.slice(at, width));
        Some(i64::from_le_bytes(bytes))
    }

    /// Whether a part of the value has a deadline of its own.
    #[inline]
    pub fn is_volatile_within(self) -> bool {
        self.large_collection().is_some_and(|collection| collection.next_deadline().is_some())
    }

    /// When there is something to do about the key: it is due, or part of its value is.
    pub fn next_deadline(self) -> Option<i64> {
        let within = self.large_collection().and_then(Collection::next_deadline);
        match (self.expire_at(), within) {
            (Some(key), Some(within)) => Some(key.min(within)),
            (key, within) => key.or(within),
        }
    }

    /// Whether the key is past its expiry: dead at the very millisecond it names, or after.
    #[inline]
    pub fn is_due(self, now_ms: i64) -> bool {
        self.expire_at().is_some_and(|at| at <= now_ms)
    }

    /// The 24 bits that eviction keeps about the last accesses (LRU clock or LFU counter).
    #[inline]
    pub fn access(self) -> u32 {
        self.word() >> 8
    }

    /// Keeps the low 24 bits.
    #[inline]
    pub fn set_access(self, access: u32) {
        // SAFETY: the first word is live and aligned. It changes under shared handles, which are
        // not `Send`, and no reference to it exists.
        unsafe { write_header(self.start, self.flags(), access) };
    }

    /// Whether the running snapshot is done with the entry ahead of its turn. Left over from one that
    /// was given up where the segment says so; see [`super::table`].
    #[inline]
    pub(in crate::keyspace) fn is_settled(self) -> bool {
        self.flags() & SETTLED != 0
    }

    #[inline]
    pub(in crate::keyspace) fn set_settled(self, settled: bool) {
        let flags = (self.flags() & !SETTLED) | if settled { SETTLED } else { 0 };
        // SAFETY: as in `set_access`.
        unsafe { write_header(self.start, flags, self.access()) };
    }

    pub fn encoding(self) -> Encoding {
        if let Some(collection) = self.collection() {
            return Encoding::Collection(collection.encoding());
        }
        Encoding::String(match self.string() {
            StrRef::Int(_) => StringEncoding::Int,
            _ if self.flags() & EDITED != 0 => StringEncoding::Raw,
            StrRef::Bytes(bytes)
                if embeds(self.key().len(), bytes.len(), self.expire_at().is_some()) =>
            {
                StringEncoding::Embstr
            }
            StrRef::Bytes(_) => StringEncoding::Raw,
        })
    }

    /// Bytes that this key takes in memory: entry, value and its share of the table.
    pub fn used_bytes(self) -> usize {
        const SLOT: usize = 9; // 8 at a mean load of 0.9
        let behind =
            self.large_collection().map_or_else(|| self.vector_bytes(), Collection::memory_bytes);
        piece_size(self.size()) + behind + SLOT
    }

    /// Bytes of the value's own vector.
    #[inline]
    pub(in crate::keyspace) fn vector_bytes(self) -> usize {
        if self.flags() & FORM != VECTOR {
            return 0;
        }
        const CAPACITY: usize = 2 * size_of::<usize>();
        let word = self.slice(self.value_offset() + CAPACITY, size_of::<usize>());
        usize::from_ne_bytes(word.try_into().expect("a word's length"))
    }

    #[inline]
    pub(in crate::keyspace) fn string(self) -> StrRef<'a> {
        let at = self.value_offset();
        match self.flags() & FORM {
            INT32 => {
                let bytes = self.slice(at, 4).try_into().expect("4 bytes");
                StrRef::Int(i64::from(i32::from_le_bytes(bytes)))
            }
            INT64 => {
                StrRef::Int(i64::from_le_bytes(self.slice(at, 8).try_into().expect("8 bytes")))
            }
            INLINE => {
                let (header, len) = self.inline_len(at);
                StrRef::Bytes(self.slice(at + header, len))
            }
            _ => StrRef::Bytes(self.vector_slice(at)),
        }
    }

    /// A copy of the value, for COPY.
    pub fn to_value(self) -> Value {
        if let Some(collection) = self.collection() {
            return Value::Collection(collection.clone());
        }
        Value::Str(match self.string() {
            StrRef::Int(int) => Str::Int(int),
            StrRef::Bytes(bytes) if self.flags() & EDITED != 0 => Str::Raw(bytes.to_vec()),
            StrRef::Bytes(bytes) => Str::Bytes(bytes.to_vec()),
        })
    }

    /// Whether something of this entry outlives the heap, unless freed.
    #[inline]
    pub(in crate::keyspace) fn owns_memory(self) -> bool {
        self.has_own_value() || is_alone(self.size())
    }

    /// Whether the value's memory is its own, apart from the entry's.
    #[inline]
    pub(in crate::keyspace) fn has_own_value(self) -> bool {
        matches!(self.flags() & FORM, VECTOR | COLLECTION)
    }

    fn vector_slice(self, at: usize) -> &'a [u8] {
        let (data, len) = self.vector_words(at);
        // SAFETY: a vector's words; its bytes live as long as the entry is not written to.
        unsafe { std::slice::from_raw_parts(data, len) }
    }

    /// Pointer and length of the vector whose words lie at `at`.
    #[inline]
    pub(super) fn vector_words(self, at: usize) -> (*mut u8, usize) {
        debug_assert_eq!(self.flags() & FORM, VECTOR);
        // SAFETY: the form says that a vector's words are here.
        unsafe {
            let words = self.start.as_ptr().add(at);
            let data = words.cast::<*mut u8>().read_unaligned();
            (data, words.add(size_of::<usize>()).cast::<usize>().read_unaligned())
        }
    }

    /// Bytes that the entry needs; its piece is of this size's class.
    #[inline(always)]
    pub(super) fn size(self) -> usize {
        let at = self.value_offset();
        match self.flags() & FORM {
            INT32 => at + 4,
            INT64 => at + 8,
            INLINE => {
                let (header, len) = self.inline_len(at);
                at + header + len
            }
            COLLECTION => at.next_multiple_of(COLLECTION_ALIGN) + size_of::<Collection>(),
            VECTOR => at + VECTOR_LEN,
            _ => {
                let packed = packed_of(self.flags()).expect("there is no other form");
                at + self.packed_bytes(packed).len()
            }
        }
    }

    #[inline]
    pub(super) fn value_offset(self) -> usize {
        let flags = self.flags();
        key_offset(flags) + self.key_len(flags) + expiry_size(flags)
    }

    #[inline]
    pub(super) fn inline_len(self, at: usize) -> (usize, usize) {
        match self.slice(at, 1)[0] {
            len @ 0..0x80 => (1, usize::from(len)),
            high => (2, usize::from(high & 0x7f) << 8 | usize::from(self.slice(at + 1, 1)[0])),
        }
    }

    #[inline]
    fn key_len(self, flags: u8) -> usize {
        if flags & LONG_KEY == 0 {
            return usize::from(self.slice(HEADER, 1)[0]);
        }
        u32::from_le_bytes(self.slice(HEADER, 4).try_into().expect("4 bytes")) as usize
    }

    #[inline]
    pub(super) fn flags(self) -> u8 {
        self.word() as u8
    }

    #[inline]
    fn word(self) -> u32 {
        // SAFETY: a live entry begins with an aligned word.
        u32::from_le(unsafe { self.start.cast::<u32>().read() })
    }

    /// Part of the entry after its first word.
    #[inline]
    fn slice(self, at: usize, len: usize) -> &'a [u8] {
        debug_assert!(at >= HEADER);
        // SAFETY: callers name parts that the flags and lengths say are there, all after the
        // first word; they do not change during `'a`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(at), len) }
    }
}
