//! Bytes in one allocation behind a thin pointer: their own header says how many they are.
//! What listpacks, intsets and the nodes of streams are made of. The only `unsafe` of them is here.
//!
//! Small blocks that a key holds do not stay here: their bytes lie in the key's own entry, where a
//! block that is no owner shows them ([`Block::lying_at`]).
//!
//! The capacity is not kept either: it follows from the length, as the size class that the allocator
//! would round it to. So a block that grows byte by byte moves once per class, classes are a fixed
//! fraction apart, and appending costs O(1) amortised. A block without contents owns no memory.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Bytes that begin with a header of `HEADER` bytes.
pub(crate) trait Format<const HEADER: usize> {
    /// A block without contents. No other contents are as short as this.
    const EMPTY: &'static [u8];

    /// Length of the block whose header this is.
    fn total(header: [u8; HEADER]) -> usize;
}

pub(crate) struct Block<F: Format<HEADER>, const HEADER: usize> {
    /// `Format::EMPTY`, or an allocation of `capacity(len)` bytes of which `len` are initialised,
    /// where `len` is `Format::total` of the header there.
    start: NonNull<u8>,
    format: PhantomData<F>,
}

// SAFETY: a block owns its bytes.
unsafe impl<F: Format<HEADER>, const HEADER: usize> Send for Block<F, HEADER> {}
// SAFETY: bytes change only through `&mut`.
unsafe impl<F: Format<HEADER>, const HEADER: usize> Sync for Block<F, HEADER> {}

/// The size class of jemalloc for `len` bytes: steps of 16 up to 128, then four steps per doubling.
pub(super) const fn capacity(len: usize) -> usize {
    if len <= 128 {
        return len.next_multiple_of(16);
    }
    let step = 1 << ((len - 1).ilog2() - 2);
    len.next_multiple_of(step)
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(capacity(len), 1).expect("a block is no longer than an object can be")
}

impl<F: Format<HEADER>, const HEADER: usize> Block<F, HEADER> {
    pub(super) const fn empty() -> Self {
        const { assert!(F::EMPTY.len() >= HEADER) };
        let start = NonNull::new(F::EMPTY.as_ptr().cast_mut()).expect("no reference is null");
        Self { start, format: PhantomData }
    }

    /// A block that shows bytes which lie elsewhere, for reading.
    ///
    /// # Safety
    /// The bytes of a block begin at `start`, and stay there unchanged for as long as the value is in
    /// use. It is neither changed nor dropped.
    #[inline]
    pub(crate) unsafe fn lying_at(start: NonNull<u8>) -> Self {
        Self { start, format: PhantomData }
    }

    /// A copy of `bytes`, whose header says their length.
    pub(super) fn from_slice(bytes: &[u8]) -> Self {
        let header = bytes.first_chunk().expect("a block has a header");
        assert_eq!(F::total(*header), bytes.len());
        let mut block = Self::empty();
        if bytes.len() != F::EMPTY.len() {
            block.start = allocate(bytes.len());
            // SAFETY: the allocation is new and at least this long.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block.start.as_ptr(), bytes.len()) };
        }
        block
    }

    #[inline]
    pub(super) fn header(&self) -> [u8; HEADER] {
        // SAFETY: a block begins with `HEADER` initialised bytes; an array of bytes needs no alignment.
        unsafe { self.start.cast().read() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        F::total(self.header())
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and change only through `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len()) }
    }

    /// What follows the header, for changes that leave the length.
    pub(super) fn body_mut(&mut self) -> &mut [u8] {
        if !self.owns_memory() {
            return &mut [];
        }
        let body = self.len() - HEADER;
        // SAFETY: the first `len` bytes are initialised and ours for as long as the borrow lasts.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(HEADER).as_ptr(), body) }
    }

    /// Bytes of memory that the block holds.
    pub(super) fn memory_bytes(&self) -> usize {
        if self.owns_memory() { capacity(self.len()) } else { 0 }
    }

    /// Puts `pieces` where `removed` bytes were, at `at`, and `header` at the front. The header says
    /// the length that follows from that.
    pub(super) fn splice(
        &mut self,
        at: usize,
        removed: usize,
        pieces: [&[u8]; 3],
        header: [u8; HEADER],
    ) {
        let old = self.len();
        let behind = at.checked_add(removed).and_then(|end| old.checked_sub(end));
        let behind = behind.expect("what is removed lies in the block");
        assert!(at >= HEADER, "the header stays");
        let added: usize = pieces.iter().map(|piece| piece.len()).sum();
        let new = at + added + behind;
        assert_eq!(F::total(header), new, "the header says the new length");
        if new == F::EMPTY.len() {
            *self = Self::empty();
            return;
        }
        if new > old {
            self.resize(old, new);
        }
        // SAFETY: the allocation holds `max(old, new)` bytes; `at + removed + behind` is `old` and
        // `at + added + behind` is `new`. The pieces are not in the block: it is borrowed mutably.
        unsafe {
            let gap = self.start.add(at);
            ptr::copy(gap.add(removed).as_ptr(), gap.add(added).as_ptr(), behind);
            let mut to = gap.as_ptr();
            for piece in pieces {
                ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
                to = to.add(piece.len());
            }
            self.start.cast().write(header);
        }
        if new < old {
            self.resize(old, new);
        }
    }

    /// Gives a block that holds `old` bytes the capacity for `new`.
    fn resize(&mut self, old: usize, new: usize) {
        if old == F::EMPTY.len() {
            let start = allocate(new);
            // SAFETY: the allocation is new and longer than `EMPTY`.
            unsafe { ptr::copy_nonoverlapping(F::EMPTY.as_ptr(), start.as_ptr(), old) };
            self.start = start;
        } else if capacity(old) != capacity(new) {
            // SAFETY: only `EMPTY` is of its length, so this is an allocation with `old`'s layout.
            let start = unsafe { realloc(self.start.as_ptr(), layout(old), capacity(new)) };
            self.start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(new)));
        }
    }

    fn owns_memory(&self) -> bool {
        self.len() != F::EMPTY.len()
    }
}

fn allocate(len: usize) -> NonNull<u8> {
    let layout = layout(len);
    assert!(layout.size() > 0, "a block has a header");
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

impl<F: Format<HEADER>, const HEADER: usize> Clone for Block<F, HEADER> {
    fn clone(&self) -> Self {
        Self::from_slice(self.as_slice())
    }
}

impl<F: Format<HEADER>, const HEADER: usize> Drop for Block<F, HEADER> {
    fn drop(&mut self) {
        if self.owns_memory() {
            // SAFETY: only `EMPTY` is of its length, so this is an allocation with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout(self.len())) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte of length, then the contents.
    struct Short;

    impl Format<1> for Short {
        const EMPTY: &'static [u8] = &[1];

        fn total(header: [u8; 1]) -> usize {
            usize::from(header[0])
        }
    }

    #[test]
    fn capacities_are_the_allocators_size_classes() {
        for (len, class) in [
            (1, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (160, 160),
            (161, 192),
            (257, 320),
            (8191, 8192),
            (8192, 8192),
            (8193, 10240),
            (20481, 24576),
        ] {
            assert_eq!(capacity(len), class, "{len}");
        }
    }

    #[test]
    fn pieces_replace_what_is_removed() {
        let mut block = Block::<Short, 1>::empty();
        assert_eq!((block.len(), block.memory_bytes()), (1, 0));
        block.splice(1, 0, [b"ab", b"", b"cd"], [5]);
        assert_eq!(block.as_slice(), b"\x05abcd");
        block.splice(2, 2, [b"", b"0123456789", b"0123456789"], [23]);
        assert_eq!(block.as_slice(), b"\x17a01234567890123456789d");
        assert_eq!(block.memory_bytes(), 32);
        let copy = block.clone();
        block.splice(1, 22, [b"", b"", b""], [1]);
        assert_eq!((block.as_slice(), block.memory_bytes()), (&[1][..], 0));
        assert_eq!(copy.len(), 23);
    }
}
