//! One key with its value and expiry, in one piece of memory behind a thin pointer.
//!
//! ```text
//! byte   0        1..4      4 (or 4..8)   5 (or 8)
//!        +--------+---------+-------------+-----+--------------+---------------------------+
//!        | flags  | access  | key length  | key | expiry 0/6/8 | value                     |
//!        +--------+---------+-------------+-----+--------------+---------------------------+
//! flags  bits 0-2 form of the value: a 4-byte or 8-byte integer | length (1 or 2 bytes) and
//!                 bytes | pointer, length, capacity of a byte vector of its own | a
//!                 collection, aligned to 8 | the block of a small one, see `packed`
//!        bit 3    settled: the running snapshot has it, or must not have it (see `save`)
//!        bits 4-5 width of the expiry: none, 6 bytes (until the year 10889), 8 bytes
//!        bit 6    edited in place (OBJECT ENCODING says raw); of packed collections, the last
//!                 bit of what they are
//!        bit 7    the key's length takes 4 bytes
//! access          24 bits of LRU clock or LFU counter
//! ```
//!
//! All numbers are little-endian and not aligned, but for the first four bytes, which are the only
//! ones that change under a shared [`Entry`]: nothing ever makes a reference to them.
//!
//! A 15-byte key with an 8-byte value takes 32 bytes, its expiry 8 more.

mod packed;

use std::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use super::{
    heap::{Heap, is_alone, piece_size},
    value::{Encoding, Held, Value},
};
use crate::types::collection::{Collection, Kind};
use packed::{PACKED_MAX, Packed};

use crate::types::string::{Str, StrRef, StringEncoding, embeds};
pub use packed::CollectionRef;

/// A longer byte value gets a vector of its own, which can grow and be freed elsewhere.
pub(super) const INLINE_MAX: usize = 384;

const FORM: u8 = 0x07;
const INT32: u8 = 0;
const INT64: u8 = 1;
const INLINE: u8 = 2;
const VECTOR: u8 = 3;
const COLLECTION: u8 = 4;
/// The first of those of packed collections, two to each with `EDITED`.
const PACKED: u8 = 5;
const SETTLED: u8 = 0x08;
const EXPIRY_SHIFT: u8 = 4;
const EXPIRY: u8 = 0x30;
const EDITED: u8 = 0x40;
const LONG_KEY: u8 = 0x80;

const SHORT_KEY_MAX: usize = 255;
const HEADER: usize = 4;
/// A vector's three words.
const VECTOR_LEN: usize = 3 * size_of::<usize>();
/// Where a collection may lie: pieces are aligned to this too.
const COLLECTION_ALIGN: usize = 8;

/// A key's content on its way into an entry.
pub(super) enum Content<'a> {
    Int(i64),
    /// At most [`INLINE_MAX`] bytes.
    Inline(&'a [u8]),
    Vector(Vec<u8>),
    Collection(Collection),
    /// At most [`PACKED_MAX`] bytes.
    Packed(Packed, &'a [u8]),
}

impl<'a> Content<'a> {
    /// `bytes` in the form their length asks for.
    pub(super) fn bytes(bytes: &'a [u8]) -> Self {
        if bytes.len() <= INLINE_MAX { Self::Inline(bytes) } else { Self::Vector(bytes.to_vec()) }
    }

    /// An owned value's content, and whether it counts as edited. Short bytes are borrowed from
    /// `room`.
    pub(super) fn of(value: Value, room: &'a mut Vec<u8>) -> (Self, bool) {
        match value {
            Value::Str(Str::Int(int)) => (Self::Int(int), false),
            Value::Str(Str::Bytes(bytes)) => (Self::of_vector(bytes, room), false),
            Value::Str(Str::Raw(bytes)) => (Self::of_vector(bytes, room), true),
            Value::Collection(collection) => (Self::Collection(collection), false),
        }
    }

    fn of_vector(bytes: Vec<u8>, room: &'a mut Vec<u8>) -> Self {
        if bytes.len() > INLINE_MAX {
            return Self::Vector(bytes);
        }
        *room = bytes;
        Self::Inline(room)
    }

    fn form(&self) -> u8 {
        match self {
            Self::Int(int) if i32::try_from(*int).is_ok() => INT32,
            Self::Int(_) => INT64,
            Self::Inline(_) => INLINE,
            Self::Vector(_) => VECTOR,
            Self::Collection(_) => COLLECTION,
            Self::Packed(packed, _) => {
                let nth = *packed as u8;
                (PACKED + nth / 2) | if nth & 1 == 0 { 0 } else { EDITED }
            }
        }
    }

    /// Where an entry ends whose content may begin at `at`.
    fn end(&self, at: usize) -> usize {
        match self {
            Self::Int(_) if self.form() == INT32 => at + 4,
            Self::Int(_) => at + 8,
            Self::Inline(bytes) => at + inline_size(bytes.len()),
            Self::Vector(_) => at + VECTOR_LEN,
            Self::Collection(_) => at.next_multiple_of(COLLECTION_ALIGN) + size_of::<Collection>(),
            Self::Packed(_, bytes) => at + bytes.len(),
        }
    }

    /// What a collection that is small enough is kept as.
    #[inline]
    fn packed(&self) -> Option<Content<'_>> {
        let Self::Collection(collection) = self else { return None };
        Packed::of(collection).map(|(packed, bytes)| Content::Packed(packed, bytes))
    }
}

/// Whether a collection that has an allocation of its own need have none any more.
pub(super) fn may_be_packed(collection: &Collection) -> bool {
    Packed::may_return(collection)
}

/// What a packed collection is whose entry has these flags.
#[inline]
fn packed_of(flags: u8) -> Option<Packed> {
    let nth = ((flags & FORM).checked_sub(PACKED)? * 2) | u8::from(flags & EDITED != 0);
    Packed::ALL.get(usize::from(nth)).copied()
}

/// `bytes`, which may lie in an entry that is about to be written, in `room`.
fn copied<'a>(room: &'a mut [u8], bytes: &[u8]) -> &'a [u8] {
    let room = &mut room[..bytes.len()];
    room.copy_from_slice(bytes);
    room
}

fn inline_size(len: usize) -> usize {
    len + if len < 0x80 { 1 } else { 2 }
}

fn expiry_flags(expire_at: Option<i64>) -> u8 {
    match expire_at {
        None => 0,
        Some(at) if (0..1 << 48).contains(&at) => 1 << EXPIRY_SHIFT,
        Some(_) => 2 << EXPIRY_SHIFT,
    }
}

fn expiry_size(flags: u8) -> usize {
    match (flags & EXPIRY) >> EXPIRY_SHIFT {
        0 => 0,
        1 => 6,
        _ => 8,
    }
}

fn key_offset(flags: u8) -> usize {
    if flags & LONG_KEY == 0 { HEADER + 1 } else { HEADER + 4 }
}

/// The owner of one entry's memory. Goes back to the [`Heap`] that made it: each database has one
/// heap, and its entries never leave it.
pub(super) struct OwnedEntry(NonNull<u8>);

impl OwnedEntry {
    pub(super) fn new(
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
    pub(super) fn into_raw(self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// `start` is from [`Self::into_raw`], and nobody else takes it back or reads it after.
    pub(super) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Self(start)
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { start: self.0, owner: PhantomData }
    }

    /// Other content and expiry for the same key; drops the old content. Stays where it is if the
    /// size's class does.
    pub(super) fn rewrite(
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
    pub(super) fn refill(
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
    pub(super) fn set_expire(mut self, heap: &mut Heap, expire_at: Option<i64>) -> Self {
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
    pub(super) fn set_int_in_place(&mut self, int: i64) -> bool {
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
    pub(super) unsafe fn edit_bytes<'a>(start: NonNull<u8>) -> Option<&'a mut [u8]> {
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
    pub(super) fn edit_vector<T>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> T) -> Option<T> {
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
    pub(super) fn destroy(mut self, heap: &mut Heap) -> Option<Value> {
        let value = self.take_value();
        self.free_piece(heap);
        value
    }

    /// The same entry in another piece, if that leaves the heap's slabs fuller; whether it moved.
    pub(super) fn gathered(self, heap: &mut Heap) -> (Self, bool) {
        let size = self.entry().size();
        if !heap.is_misplaced(self.0, size) {
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
    /// others run empty. Large collections stay; copying one would keep everybody waiting.
    pub(super) fn renew_value(&mut self) {
        const LARGE: usize = 16 * 1024;
        let entry = self.entry();
        let at = entry.value_offset();
        match entry.flags() & FORM {
            VECTOR => {
                // SAFETY: the form says that a vector is there; its copy takes its place.
                let old = unsafe { read_vector(self.0, at) };
                let mut new = Vec::with_capacity(old.capacity());
                new.extend_from_slice(&old);
                // SAFETY: the same place.
                unsafe { write_vector(self.0, at, new) };
            }
            COLLECTION => {
                // SAFETY: the form says that a collection is there, and the entry is ours.
                let collection = unsafe { entry.collection_at(at).as_mut() };
                if collection.ticket().is_none() && collection.memory_bytes() < LARGE {
                    let new = collection.clone();
                    *collection = new;
                }
            }
            _ => {}
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
    pub(super) fn take_value(&mut self) -> Option<Value> {
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
    pub(super) unsafe fn repack(start: NonNull<u8>, collection: &Collection) -> bool {
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
    pub(super) unsafe fn edit_collection<'a>(start: NonNull<u8>) -> Option<&'a mut Collection> {
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

/// Flags and access bits, the aligned first word.
///
/// # Safety
/// `start` has room for a header.
unsafe fn write_header(start: NonNull<u8>, flags: u8, access: u32) {
    let word = u32::from(flags) | access << 8;
    // SAFETY: the caller's; pieces are aligned to 8.
    unsafe { start.cast::<u32>().write(word.to_le()) };
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
    pub(super) unsafe fn from_raw(start: NonNull<u8>) -> Self {
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
    pub(super) fn large_collection(self) -> Option<&'a Collection> {
        if self.flags() & FORM != COLLECTION {
            return None;
        }
        // SAFETY: the form says that a collection is there; it changes only where the entry is
        // borrowed mutably.
        Some(unsafe { self.collection_at(self.value_offset()).as_ref() })
    }

    /// The block of a packed collection.
    fn packed_bytes(self, packed: Packed) -> &'a [u8] {
        let at = self.value_offset();
        // SAFETY: the form says that such a block is there.
        self.slice(at, unsafe { packed.len_at(self.start.add(at)) })
    }

    /// Where the collection lies of an entry whose value begins at or after `at`.
    fn collection_at(self, at: usize) -> NonNull<Collection> {
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
    pub(super) fn is_settled(self) -> bool {
        self.flags() & SETTLED != 0
    }

    #[inline]
    pub(super) fn set_settled(self, settled: bool) {
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
    pub(super) fn vector_bytes(self) -> usize {
        if self.flags() & FORM != VECTOR {
            return 0;
        }
        const CAPACITY: usize = 2 * size_of::<usize>();
        let word = self.slice(self.value_offset() + CAPACITY, size_of::<usize>());
        usize::from_ne_bytes(word.try_into().expect("a word's length"))
    }

    #[inline]
    pub(super) fn string(self) -> StrRef<'a> {
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
    pub(super) fn owns_memory(self) -> bool {
        self.has_own_value() || is_alone(self.size())
    }

    /// Whether the value's memory is its own, apart from the entry's.
    #[inline]
    pub(super) fn has_own_value(self) -> bool {
        matches!(self.flags() & FORM, VECTOR | COLLECTION)
    }

    fn vector_slice(self, at: usize) -> &'a [u8] {
        let (data, len) = self.vector_words(at);
        // SAFETY: a vector's words; its bytes live as long as the entry is not written to.
        unsafe { std::slice::from_raw_parts(data, len) }
    }

    /// Pointer and length of the vector whose words lie at `at`.
    fn vector_words(self, at: usize) -> (*mut u8, usize) {
        debug_assert_eq!(self.flags() & FORM, VECTOR);
        // SAFETY: the form says that a vector's words are here.
        unsafe {
            let words = self.start.as_ptr().add(at);
            let data = words.cast::<*mut u8>().read_unaligned();
            (data, words.add(size_of::<usize>()).cast::<usize>().read_unaligned())
        }
    }

    /// Bytes that the entry needs; its piece is of this size's class.
    fn size(self) -> usize {
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
    fn value_offset(self) -> usize {
        let flags = self.flags();
        key_offset(flags) + self.key_len(flags) + expiry_size(flags)
    }

    #[inline]
    fn inline_len(self, at: usize) -> (usize, usize) {
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
    fn flags(self) -> u8 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds an entry, and checks that all of it reads back.
    fn check(key: &[u8], expire_at: Option<i64>, value: StrRef<'_>) {
        let mut heap = Heap::new();
        let content = || match value {
            StrRef::Int(int) => Content::Int(int),
            StrRef::Bytes(bytes) => Content::bytes(bytes),
        };
        let verify = |owned: &OwnedEntry, expire_at| {
            let entry = owned.entry();
            assert_eq!(entry.key(), key);
            assert_eq!(entry.expire_at(), expire_at);
            assert_eq!(entry.value().as_str(), Some(value));
            assert_eq!(entry.access(), 0xabcdef);
        };
        let made = OwnedEntry::new(&mut heap, 0, key, expire_at, content(), false);
        made.entry().set_access(0xabcdef);
        verify(&made, expire_at);
        let rewritten = made.rewrite(&mut heap, None, Content::Int(5), false);
        let back = rewritten.rewrite(&mut heap, expire_at, content(), false);
        verify(&back, expire_at);
        let mut entry = back;
        for other in [None, Some(1), Some(i64::MAX), Some(-1), None, Some((1 << 48) - 1)] {
            entry = entry.set_expire(&mut heap, other);
            verify(&entry, other);
        }
        drop(entry.destroy(&mut heap));
        assert_eq!(heap.used_bytes(), 0);
    }

    #[test]
    fn every_shape_reads_back_as_written() {
        for key_len in [0, 1, 15, 127, 128, 255, 256, 1000, 70_000] {
            let key = vec![b'k'; key_len];
            for expire_at in [None, Some(0), Some(1 << 40), Some(1 << 48), Some(i64::MIN)] {
                for int in [0, -1, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MIN] {
                    check(&key, expire_at, StrRef::Int(int));
                }
                for len in [0, 1, 127, 128, 300, INLINE_MAX, INLINE_MAX + 1, 5000] {
                    check(&key, expire_at, StrRef::Bytes(&vec![b'v'; len]));
                }
            }
        }
    }

    #[test]
    fn an_entry_is_as_small_as_the_design_says() {
        let mut heap = Heap::new();
        let key = b"key:00000000001";
        let text = Content::Inline(b"abcdefgh");
        let entry = OwnedEntry::new(&mut heap, 0, key, None, text, false);
        assert_eq!(heap.used_bytes(), 32);
        let entry = entry.set_expire(&mut heap, Some(1_800_000_000_000));
        assert_eq!(heap.used_bytes(), 40);
        entry.destroy(&mut heap);
        let value = [7; 64];
        let key = b"key:000000000001";
        let entry = OwnedEntry::new(&mut heap, 0, key, None, Content::Inline(&value), false);
        assert_eq!(heap.used_bytes(), 88);
        entry.destroy(&mut heap);
    }
}
