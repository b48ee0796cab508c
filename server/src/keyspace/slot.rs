//! One place of the table: eight bytes that hold an entry's address, part of its hash, and how far
//! off its expiry is.
//!
//! ```text
//! bits 63..48  tag: the 16 bits of the hash after those that chose the segment
//! bits 47..3   the entry's address (aligned to 8)
//! bits  2..0   horizon of its expiry (see `deadlines`), 0 without one
//! ```

use std::ptr::NonNull;

use super::{
    entry::{Entry, OwnedEntry},
    heap::ALIGN,
};
use crate::types::collection::Collection;

const TAG_SHIFT: u32 = 48;
const HORIZON: usize = ALIGN - 1;
const ADDRESS: usize = (1 << TAG_SHIFT) - 1 - HORIZON;

/// Copied freely while a segment is rearranged; each entry is in exactly one slot of one table.
#[derive(Clone, Copy)]
pub(super) struct Slot(*mut u8);

// SAFETY: a slot owns its entry as a box would.
unsafe impl Send for Slot {}

impl Slot {
    pub(super) const EMPTY: Self = Self(std::ptr::null_mut());

    pub(super) fn new(entry: OwnedEntry, tag: u16) -> Self {
        Self(entry.into_raw().as_ptr()).with_tag(tag)
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0.is_null()
    }

    /// Meaningless in an empty slot.
    #[inline]
    pub(super) fn tag(self) -> u16 {
        (self.0.addr() >> TAG_SHIFT) as u16
    }

    pub(super) fn with_tag(self, tag: u16) -> Self {
        Self(self.0.map_addr(|bits| bits & (ADDRESS | HORIZON) | usize::from(tag) << TAG_SHIFT))
    }

    #[inline]
    pub(super) fn horizon(self) -> usize {
        self.0.addr() & HORIZON
    }

    pub(super) fn with_horizon(self, horizon: usize) -> Self {
        debug_assert!(horizon <= HORIZON);
        Self(self.0.map_addr(|bits| bits & !HORIZON | horizon))
    }

    /// The entry of a slot that is not empty, for as long as the borrow of the slot's place lasts.
    #[inline]
    pub(super) fn entry(&self) -> Entry<'_> {
        // SAFETY: a slot that is not empty holds a live entry; to write to it or free it takes
        // the place mutably.
        unsafe { Entry::from_raw(self.raw()) }
    }

    /// Runs `change` on the entry, which may move it.
    #[inline]
    pub(super) fn replace(&mut self, change: impl FnOnce(OwnedEntry) -> OwnedEntry) {
        // SAFETY: the slot owns its entry, and gets the new one before anybody looks again
        // (`change` does not panic but on an allocation that fails, which ends the process).
        let new = change(unsafe { OwnedEntry::from_raw(self.raw()) });
        let raw = new.into_raw().as_ptr();
        self.0 = raw.map_addr(|bits| bits | self.0.addr() & !ADDRESS);
    }

    /// See [`OwnedEntry::edit_bytes`].
    pub(super) fn edit_bytes(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the slot owns its entry and is borrowed for as long as the bytes are. Editing
        // does not move the entry.
        unsafe { OwnedEntry::edit_bytes(self.raw()) }
    }

    /// See [`OwnedEntry::edit_collection`].
    #[inline]
    pub(super) fn edit_collection(&mut self) -> Option<&mut Collection> {
        // SAFETY: the slot owns its entry and is borrowed for as long as the collection is.
        unsafe { OwnedEntry::edit_collection(self.raw()) }
    }

    /// See [`OwnedEntry::repack`].
    pub(super) fn repack(&mut self, collection: &Collection) -> bool {
        // SAFETY: the slot owns its entry, and is borrowed.
        unsafe { OwnedEntry::repack(self.raw(), collection) }
    }

    /// Takes the entry out. No copy of this slot may remain in the table.
    pub(super) fn into_owned(self) -> OwnedEntry {
        // SAFETY: the caller has taken the slot out of its place.
        unsafe { OwnedEntry::from_raw(self.raw()) }
    }

    /// Starts to load the entry's first two lines, as few lie in one. An empty slot's address is
    /// harmless.
    #[inline]
    pub(super) fn prefetch(self) {
        let entry = self.0.map_addr(|bits| bits & ADDRESS);
        prefetch(entry);
        prefetch(entry.wrapping_add(64));
    }

    #[inline]
    fn raw(self) -> NonNull<u8> {
        debug_assert!(!self.is_empty());
        // SAFETY: not empty, so the address bits are an entry's.
        unsafe { NonNull::new_unchecked(self.0.map_addr(|bits| bits & ADDRESS)) }
    }
}

/// Asks the processor to load the line at `at`; reads nothing, so any address will do.
#[inline]
pub(super) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        // SAFETY: a prefetch does not fault and changes nothing that is seen.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at,
                options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = at;
}
