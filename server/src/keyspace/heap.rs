//! Memory for entries: slabs of equal pieces, one heap per database.
//!
//! Why not the general allocator: entries are small and there are millions of them, so rounding
//! decides what a key costs. Here sizes step by 8 bytes up to 256 and by 16 up to 512, where
//! jemalloc's classes step by 16 up to 128 and by a quarter after that, and a slab's bookkeeping is
//! 24 bytes in 32 KiB. Freeing is a push onto the slab's own list; flushing a database frees
//! slabs, not entries.
//!
//! A slab is 32 KiB, aligned to its size, so a piece finds its slab by masking its address. The
//! slab's header lies at a different line from slab to slab ("colour", taken from the address),
//! or all headers would compete for the same few cache sets; pieces are laid around it.
//!
//! What does not fit a slab (a very long key) comes from the global allocator.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ptr::{self, NonNull},
};

const SLAB: usize = 32 * 1024;
/// Pieces are aligned to this, and slots keep the free low bits of their address.
pub(super) const ALIGN: usize = 8;
/// The largest piece that slabs hold.
const LARGEST: usize = 512;
const FINE_STEPS: usize = 256 / 8;
const CLASSES: usize = FINE_STEPS + (LARGEST - 256) / 16;
/// Addresses must leave the top 16 bits of a slot free.
const ADDRESS_BITS: u32 = 48;

/// Bytes that a piece of `size` really takes. Two sizes with the same result share a class, and a
/// piece may be used for either.
#[inline]
pub(super) const fn piece_size(size: usize) -> usize {
    if size > 256 && size <= LARGEST {
        size.next_multiple_of(16)
    } else {
        size.next_multiple_of(ALIGN)
    }
}

fn class_of(piece: usize) -> usize {
    if piece <= 256 { piece / 8 - 1 } else { FINE_STEPS + (piece - 256) / 16 - 1 }
}

/// Under Miri every piece is an allocation of its own, so that it sees each use after free.
const SLABS: bool = !cfg!(miri);

pub(super) struct Heap {
    /// By class: a list of the slabs that have room.
    partial: [*mut Slab; CLASSES],
    /// One empty slab, kept so that a lone entry coming and going costs no system call.
    spare: *mut Slab,
    /// Every slab, in no order; each knows its place here.
    slabs: Vec<*mut Slab>,
    /// Bytes of the pieces in use: of those in slabs, and of those that are not.
    slab_bytes: usize,
    alone_bytes: usize,
}

// SAFETY: a heap and its slabs are reached only through the value itself.
unsafe impl Send for Heap {}

/// A slab's header. Offsets are in bytes from the slab's start; all fit 16 bits.
struct Slab {
    next: *mut Slab,
    prev: *mut Slab,
    /// Place in `Heap::slabs`.
    index: u32,
    /// Size of a piece.
    piece: u16,
    /// Pieces in use.
    used: u16,
    /// First of the freed pieces, each of which begins with the offset of the next.
    freed: u16,
    /// Nothing from here on was ever used.
    fresh: u16,
}

const NO_PIECE: u16 = u16::MAX;
const HEADER: usize = size_of::<Slab>();
const SLAB_LAYOUT: Layout = match Layout::from_size_align(SLAB, SLAB) {
    Ok(layout) => layout,
    Err(_) => panic!("a slab's size is a power of two"),
};

/// Where in its slab the header of the slab at `base` lies.
fn header_offset(base: usize) -> usize {
    const LINE: usize = 64;
    const COLOURS: usize = 64;
    (base / SLAB % COLOURS) * LINE
}

fn base_of(address: usize) -> usize {
    address & !(SLAB - 1)
}

fn slab_of(piece: NonNull<u8>) -> *mut Slab {
    piece.as_ptr().map_addr(|a| base_of(a) + header_offset(base_of(a))).cast()
}

impl Slab {
    fn base(slab: *mut Slab) -> *mut u8 {
        slab.cast::<u8>().map_addr(base_of)
    }

    /// The offset for the next fresh piece: `fresh`, or past the header if it is in the way.
    fn next_fresh(&self, header: usize) -> usize {
        let fresh = usize::from(self.fresh);
        let overlaps = fresh < header + HEADER && fresh + usize::from(self.piece) > header;
        if overlaps { header + HEADER } else { fresh }
    }

    fn is_full(&self, header: usize) -> bool {
        self.freed == NO_PIECE && self.next_fresh(header) + usize::from(self.piece) > SLAB
    }
}

/// How full a slab has to be for its pieces to stay where they are when others are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density {
    /// Three quarters: few pieces move for each slab that is freed.
    Usual,
    /// Fifteen sixteenths: where memory is short.
    High,
}

impl Density {
    const fn sixteenths(self) -> usize {
        match self {
            Self::Usual => 12,
            Self::High => 15,
        }
    }
}

impl Heap {
    pub(super) const fn new() -> Self {
        Self {
            partial: [ptr::null_mut(); CLASSES],
            spare: ptr::null_mut(),
            slabs: Vec::new(),
            slab_bytes: 0,
            alone_bytes: 0,
        }
    }

    /// Bytes of all pieces in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.slab_bytes + self.alone_bytes
    }

    /// Bytes of the slabs that no piece uses: the allocator has given them out, yet they are free.
    pub(super) fn free_bytes(&self) -> usize {
        self.slabs.len() * SLAB - self.slab_bytes
    }

    /// A piece of at least `size` bytes, not initialised.
    pub(super) fn alloc(&mut self, size: usize) -> NonNull<u8> {
        let size = piece_size(size);
        if size > LARGEST || !SLABS {
            self.alone_bytes += size;
            return alloc_alone(size);
        }
        self.slab_bytes += size;
        let class = class_of(size);
        if self.partial[class].is_null() {
            let slab = self.new_slab(size);
            self.link(class, slab);
        }
        let slab = self.partial[class];
        let header = header_offset(Slab::base(slab).addr());
        // SAFETY: slabs in `partial` are live, and nothing else refers to their headers.
        let head = unsafe { &mut *slab };
        let offset = if head.freed == NO_PIECE {
            let offset = head.next_fresh(header);
            head.fresh = (offset + size) as u16;
            offset
        } else {
            let offset = usize::from(head.freed);
            // SAFETY: a freed piece begins with the offset of the next, written by `free`; pieces
            // are aligned to 8 and lie outside the header.
            head.freed = unsafe { Slab::base(slab).add(offset).cast::<u16>().read() };
            offset
        };
        head.used += 1;
        if head.is_full(header) {
            self.unlink(class, slab);
        }
        // SAFETY: the offset is that of a piece, which lies within the slab.
        unsafe { NonNull::new_unchecked(Slab::base(slab).add(offset)) }
    }

    /// # Safety
    /// `piece` came from this heap's `alloc` for a size of the same class, and is not used again.
    pub(super) unsafe fn free(&mut self, piece: NonNull<u8>, size: usize) {
        let size = piece_size(size);
        if size > LARGEST || !SLABS {
            self.alone_bytes -= size;
            // SAFETY: such a piece came from `alloc_alone` with the same size.
            return unsafe { dealloc(piece.as_ptr(), alone(size)) };
        }
        self.slab_bytes -= size;
        let class = class_of(size);
        let slab = slab_of(piece);
        let header = header_offset(Slab::base(slab).addr());
        // SAFETY: the piece is from this heap, so masking its address gives a live slab of it.
        let head = unsafe { &mut *slab };
        debug_assert_eq!(usize::from(head.piece), size, "freed as another class");
        debug_assert_eq!(self.slabs[head.index as usize], slab, "freed into another heap");
        #[cfg(debug_assertions)]
        // SAFETY: the piece is ours again; make a use after free show.
        unsafe {
            piece.as_ptr().write_bytes(0xdd, size);
        }
        let was_full = head.is_full(header);
        // SAFETY: the piece is ours again, at least 8 bytes long and aligned to 8.
        unsafe { piece.cast::<u16>().write(head.freed) };
        head.freed = (piece.addr().get() & (SLAB - 1)) as u16;
        head.used -= 1;
        let empty = head.used == 0;
        match (was_full, empty) {
            (true, false) => self.link(class, slab),
            (true, true) => self.retire(slab),
            (false, true) => {
                self.unlink(class, slab);
                self.retire(slab);
            }
            (false, false) => {}
        }
    }

    /// Whether a piece had better be moved: its slab is not as full as asked for, and the next piece of
    /// the class comes from one that is not sparser. Of two such slabs the denser comes first in its
    /// list from now on, so that pieces gather there and the others run empty.
    pub(super) fn is_misplaced(
        &mut self,
        piece: NonNull<u8>,
        size: usize,
        density: Density,
    ) -> bool {
        let size = piece_size(size);
        if size > LARGEST || !SLABS {
            return false;
        }
        let class = class_of(size);
        let (slab, first) = (slab_of(piece), self.partial[class]);
        if first.is_null() || first == slab {
            return false;
        }
        // SAFETY: both are live slabs of this heap: one holds a piece in use, one is linked.
        let (own, best) = unsafe { ((*slab).used, (*first).used) };
        let most = (SLAB - HEADER) / size;
        if usize::from(own) * 16 >= most * density.sixteenths() {
            return false;
        }
        if own > best {
            self.unlink(class, slab);
            self.link(class, slab);
            return false;
        }
        true
    }

    /// An empty slab for pieces of `size`, not yet linked.
    fn new_slab(&mut self, size: usize) -> *mut Slab {
        let (slab, index) = if self.spare.is_null() {
            // SAFETY: the layout's size is not zero.
            let Some(base) = NonNull::new(unsafe { alloc(SLAB_LAYOUT) }) else {
                handle_alloc_error(SLAB_LAYOUT)
            };
            assert!(base.addr().get() >> ADDRESS_BITS == 0, "the heap lies above 2^48");
            self.slabs.push(ptr::null_mut());
            (slab_of(base), self.slabs.len() - 1)
        } else {
            let slab = std::mem::replace(&mut self.spare, ptr::null_mut());
            // SAFETY: the spare slab is live and its header initialised.
            (slab, unsafe { (*slab).index } as usize)
        };
        self.slabs[index] = slab;
        let head = Slab {
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
            index: u32::try_from(index).expect("fewer than 2^32 slabs of 32 KiB"),
            piece: size as u16,
            used: 0,
            freed: NO_PIECE,
            fresh: 0,
        };
        // SAFETY: the header lies within the slab, aligned to a line.
        unsafe { slab.write(head) };
        slab
    }

    /// Keeps an empty, unlinked slab as the spare one, or frees it.
    fn retire(&mut self, slab: *mut Slab) {
        if self.spare.is_null() {
            self.spare = slab;
            return;
        }
        // SAFETY: the slab is live.
        let index = unsafe { (*slab).index } as usize;
        self.slabs.swap_remove(index);
        if let Some(&moved) = self.slabs.get(index) {
            // SAFETY: every slab in the list is live.
            unsafe { (*moved).index = index as u32 };
        }
        // SAFETY: allocated with this layout; no piece of it is in use.
        unsafe { dealloc(Slab::base(slab), SLAB_LAYOUT) };
    }

    fn link(&mut self, class: usize, slab: *mut Slab) {
        let next = std::mem::replace(&mut self.partial[class], slab);
        // SAFETY: both are live slabs of this heap (`next` may be null).
        unsafe {
            (*slab).next = next;
            (*slab).prev = ptr::null_mut();
            if !next.is_null() {
                (*next).prev = slab;
            }
        }
    }

    fn unlink(&mut self, class: usize, slab: *mut Slab) {
        // SAFETY: the slab is live and linked, so its neighbours are live or null.
        unsafe {
            let (next, prev) = ((*slab).next, (*slab).prev);
            if prev.is_null() {
                self.partial[class] = next;
            } else {
                (*prev).next = next;
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }
}

impl Drop for Heap {
    /// Frees the slabs with all that lies in them. Pieces that came from the global allocator are
    /// the owner's to free before.
    fn drop(&mut self) {
        for &slab in &self.slabs {
            // SAFETY: allocated with this layout; the heap's owner is gone, so are its pieces.
            unsafe { dealloc(Slab::base(slab), SLAB_LAYOUT) };
        }
    }
}

/// Whether a piece of `size` outlives the heap's drop, unless freed.
pub(super) fn is_alone(size: usize) -> bool {
    piece_size(size) > LARGEST || !SLABS
}

fn alone(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("a key and a small value are below 2^63 bytes")
}

fn alloc_alone(size: usize) -> NonNull<u8> {
    // SAFETY: sizes are never zero: an entry has a header.
    let Some(piece) = NonNull::new(unsafe { alloc(alone(size)) }) else {
        handle_alloc_error(alone(size))
    };
    assert!(piece.addr().get() >> ADDRESS_BITS == 0, "the heap lies above 2^48");
    piece
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn fill(piece: NonNull<u8>, size: usize, byte: u8) {
        // SAFETY: the piece is live and has `size` bytes.
        unsafe { piece.as_ptr().write_bytes(byte, size) };
    }

    fn is_filled(piece: NonNull<u8>, size: usize, byte: u8) -> bool {
        // SAFETY: the piece is live and was filled before.
        let bytes = unsafe { std::slice::from_raw_parts(piece.as_ptr(), size) };
        bytes.iter().all(|&b| b == byte)
    }

    #[test]
    fn pieces_of_every_size_do_not_overlap() {
        let mut heap = Heap::new();
        let mut live = Vec::new();
        for round in 0..40usize {
            for size in 4..=600 {
                let piece = heap.alloc(size);
                assert_eq!(piece.addr().get() % ALIGN, 0);
                let byte = (size + round) as u8;
                fill(piece, piece_size(size), byte);
                live.push((piece, size, byte));
            }
        }
        for (piece, size, byte) in live {
            assert!(is_filled(piece, piece_size(size), byte));
            // SAFETY: allocated above with this size.
            unsafe { heap.free(piece, size) };
        }
        assert_eq!(heap.used_bytes(), 0);
        assert!(heap.slabs.len() <= 1, "only the spare slab is left");
        assert_eq!(heap.free_bytes(), heap.slabs.len() * SLAB);
    }

    #[test]
    fn a_random_history_keeps_every_piece_intact_and_gives_memory_back() {
        let mut heap = Heap::new();
        let mut live: HashMap<u64, (NonNull<u8>, usize, u8)> = HashMap::new();
        let mut state = 7u64;
        let steps = if cfg!(miri) { 2_000 } else { 200_000 };
        for step in 0..steps {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let id = state >> 33 & 0xfff;
            // Fills for one half of the time, empties for the other.
            if live.contains_key(&id) && (step >= steps / 2 || state & 1 == 0) {
                let (piece, size, byte) = live.remove(&id).expect("seen just now");
                assert!(is_filled(piece, size, byte));
                // SAFETY: allocated with this size.
                unsafe { heap.free(piece, size) };
            } else if step < steps / 2 {
                let size = 4 + (state >> 48) as usize % 560;
                let byte = step as u8;
                let piece = heap.alloc(size);
                fill(piece, size, byte);
                if let Some((old, size, byte)) = live.insert(id, (piece, size, byte)) {
                    assert!(is_filled(old, size, byte));
                    // SAFETY: allocated with this size.
                    unsafe { heap.free(old, size) };
                }
            }
        }
        let left: usize = live.values().map(|&(_, size, _)| piece_size(size)).sum();
        assert_eq!(heap.used_bytes(), left);
        for (_, (piece, size, _)) in live {
            // SAFETY: allocated with this size.
            unsafe { heap.free(piece, size) };
        }
        assert!(heap.slabs.len() <= 1);
    }
}
