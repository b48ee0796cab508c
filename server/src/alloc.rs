//! The process's allocator, which counts what is in use.
//!
//! It is jemalloc, as in Redis and Valkey: low fragmentation, freed pages given back over time.
//! With its usual size classes, 16 bytes apart: classes of 8 (`lg_quantum=3`) would break
//! tikv-jemallocator, which relies on every block of 16 bytes and more being aligned to 16, as
//! hashbrown's tables for one need. The small things that are many, the keyspace's entries, have
//! slabs of their own with classes of 8 (`keyspace::heap`).

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

#[cfg(not(feature = "jemalloc"))]
use std::alloc::System as Backend;
#[cfg(feature = "jemalloc")]
use tikv_jemallocator::Jemalloc as Backend;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// jemalloc's settings, read by it at start; `_RJEM_MALLOC_CONF` in the environment overrides them.
/// Freed pages go back within a second, not ten, and also while nothing happens (the thread): the
/// machines are small, and a table that grew leaves 15 % of its memory behind as old arrays.
#[cfg(feature = "jemalloc")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static std::ffi::c_char> = {
    const TEXT: &std::ffi::CStr =
        c"background_thread:true,max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0";
    // SAFETY: the pointer is that of a static string.
    Some(unsafe { &*TEXT.as_ptr() })
};

/// Which allocator this is, as INFO's `mem_allocator` names it.
pub const NAME: &str = if cfg!(feature = "jemalloc") { "jemalloc-5.3.1" } else { "libc" };

/// Bytes that the process has asked for and not given back: INFO's `used_memory`.
pub fn used_bytes() -> usize {
    // A shard alone may be below zero: what one thread allocates another may free.
    COUNTERS.iter().fold(0, |sum, shard| sum.wrapping_add(shard.0.load(Relaxed)))
}

struct Counting;

/// One counter per line of cache, so that threads do not wait for each other's.
#[repr(align(64))]
struct Shard(AtomicUsize);

const SHARDS: usize = 16;
static COUNTERS: [Shard; SHARDS] = [const { Shard(AtomicUsize::new(0)) }; SHARDS];

fn count(change: impl FnOnce(&AtomicUsize)) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let shard = OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
        }
        own.get()
    });
    change(&COUNTERS[shard].0);
}

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|used| _ = used.fetch_add(layout.size(), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(|used| _ = used.fetch_add(layout.size(), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(|used| _ = used.fetch_sub(layout.size(), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(|used| _ = used.fetch_add(new_size.wrapping_sub(layout.size()), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.realloc(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted() {
        const BIG: usize = 1 << 30;
        let before = used_bytes();
        let block: Vec<u8> = Vec::with_capacity(BIG);
        assert!(used_bytes().wrapping_sub(before) > BIG / 2, "other tests do not hold as much");
        drop(block);
        assert!(used_bytes() < before + BIG / 2);
    }
}
