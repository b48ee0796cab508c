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
/// One arena: with one for each thread, each would have half-empty pages of every size class of its
/// own. Threads meet in it only when their caches run empty or full, and for blocks above 4 KiB, which no
/// cache keeps: up to twenty of each size would lie idle in each thread. Freed pages go back within a
/// second, not ten, and also while nothing happens (the thread): the machines are small, and a table
/// that grew leaves 15 % of its memory behind as old arrays. What a listpack of 8 KiB (two pages) has
/// grown through comes in runs of an even number of pages, twice the usual ones: of an odd one a page is
/// left over beside nearly every such listpack, and 128 bytes to know that by. Such listpacks themselves
/// come four to a run, which has those 128 bytes once.
#[cfg(feature = "jemalloc")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static std::ffi::c_char> = {
    const TEXT: &std::ffi::CStr =
        c"narenas:1,tcache_max:4096,background_thread:true,max_background_threads:1,\
          dirty_decay_ms:1000,muzzy_decay_ms:0,\
          slab_sizes:5120-5120:10|6144-6144:6|7168-7168:14|8192-8192:8";
    // SAFETY: the pointer is that of a static string.
    Some(unsafe { &*TEXT.as_ptr() })
};

/// Which allocator this is, as INFO's `mem_allocator` names it.
pub const NAME: &str = if cfg!(feature = "jemalloc") { "jemalloc-5.3.1" } else { "libc" };

/// Bytes of the blocks that the process has asked for and not given back: INFO's `used_memory`.
pub fn used_bytes() -> usize {
    // A shard alone may be below zero: what one thread allocates another may free.
    COUNTERS.iter().fold(0, |sum, shard| sum.wrapping_add(shard.0.load(Relaxed)))
}

/// What the allocator has of the system's memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// In blocks that are in use, with what rounding their sizes up takes.
    pub allocated: u64,
    /// In pages with such blocks.
    pub active: u64,
    /// Mapped, with what the allocator needs for itself.
    pub resident: u64,
    /// Given back but for the addresses.
    pub muzzy: u64,
}

/// `None` where the allocator does not tell.
pub fn pages() -> Option<Pages> {
    backend::pages()
}

/// Has all free pages given back to the system now.
pub fn purge() {
    backend::purge();
}

/// The allocator's own report, for experts; `None` where there is none.
pub fn report() -> Option<String> {
    backend::report()
}

/// Runs `work` without this thread's cache of freed blocks. With it a block that is allocated to
/// move a value is the one freed last; without, it comes from the fullest pages.
pub fn uncached<T>(work: impl FnOnce() -> T) -> T {
    backend::use_cache(false);
    let result = work();
    backend::use_cache(true);
    result
}

#[cfg(not(feature = "jemalloc"))]
mod backend {
    pub(super) fn use_cache(_: bool) {}

    pub(super) fn pages() -> Option<super::Pages> {
        None
    }

    pub(super) fn purge() {}

    pub(super) fn report() -> Option<String> {
        None
    }
}

/// jemalloc's control interface: `mallctl` by name.
#[cfg(feature = "jemalloc")]
mod backend {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::{from_mut, null, null_mut};

    use super::Pages;

    unsafe extern "C" {
        fn _rjem_mallctl(
            name: *const c_char,
            old: *mut c_void,
            old_len: *mut usize,
            new: *mut c_void,
            new_len: usize,
        ) -> c_int;
        fn _rjem_malloc_stats_print(
            write: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
            opaque: *mut c_void,
            options: *const c_char,
        );
    }

    /// Its figures are those of the last epoch.
    fn begin_epoch() {
        let mut epoch = 1u64;
        let new = from_mut(&mut epoch).cast();
        // SAFETY: `epoch` takes a u64, which `new` points to.
        unsafe { _rjem_mallctl(c"epoch".as_ptr(), null_mut(), null_mut(), new, size_of::<u64>()) };
    }

    fn read(name: &CStr) -> Option<u64> {
        let (mut value, mut len) = (0usize, size_of::<usize>());
        let old = from_mut(&mut value).cast();
        // SAFETY: these controls are of type size_t, and jemalloc compares its size with `len`.
        let failed = unsafe { _rjem_mallctl(name.as_ptr(), old, &mut len, null_mut(), 0) };
        (failed == 0).then_some(value as u64)
    }

    pub(super) fn pages() -> Option<Pages> {
        begin_epoch();
        // 4096 stands for all arenas together.
        let muzzy_pages = read(c"stats.arenas.4096.pmuzzy")?;
        Some(Pages {
            allocated: read(c"stats.allocated")?,
            active: read(c"stats.active")?,
            resident: read(c"stats.resident")?,
            muzzy: muzzy_pages * read(c"arenas.page")?,
        })
    }

    pub(super) fn purge() {
        let name = c"arena.4096.purge";
        // SAFETY: this control neither reads nor writes a value.
        unsafe { _rjem_mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    }

    pub(super) fn use_cache(mut enabled: bool) {
        let name = c"thread.tcache.enabled";
        let new = from_mut(&mut enabled).cast();
        // SAFETY: this control takes a bool, which `new` points to.
        unsafe { _rjem_mallctl(name.as_ptr(), null_mut(), null_mut(), new, size_of::<bool>()) };
    }

    unsafe extern "C" fn append(text: *mut c_void, part: *const c_char) {
        // SAFETY: `report` passes its String, and jemalloc a C string.
        let (text, part) = unsafe { (&mut *text.cast::<String>(), CStr::from_ptr(part)) };
        text.push_str(&part.to_string_lossy());
    }

    pub(super) fn report() -> Option<String> {
        let mut text = String::new();
        let opaque = from_mut(&mut text).cast();
        // SAFETY: jemalloc calls `append` with `opaque` before it returns, and not later.
        unsafe { _rjem_malloc_stats_print(Some(append), opaque, null()) };
        Some(text)
    }
}

struct Counting;

/// One counter per line of cache, so that threads do not wait for each other's.
#[repr(align(64))]
struct Shard(AtomicUsize);

const SHARDS: usize = 16;
static COUNTERS: [Shard; SHARDS] = [const { Shard(AtomicUsize::new(0)) }; SHARDS];

/// Of a thread that has no shard yet.
const NONE: usize = usize::MAX;

thread_local! {
    /// This thread's shard; [`SHARDS`] more while it works at leisure.
    static OWN: Cell<usize> = const { Cell::new(NONE) };
}

#[inline]
fn count(change: impl FnOnce(&AtomicUsize)) {
    let own = OWN.get();
    let shard = if own < SHARDS { own } else { seldom_shard(own) };
    change(&COUNTERS[shard].0);
}

/// The shard of a thread that has none yet, or works at leisure.
#[cold]
fn seldom_shard(own: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    if own == NONE {
        OWN.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
        return OWN.get();
    }
    leisure::step();
    own % SHARDS
}

/// Runs `work`, which frees much, on a thread that nobody waits for: in slices with rests between. A
/// scheduler lets a thread run for milliseconds before another that has become ready on the same
/// processor, and that may be the one that serves. What was freed goes back to the system in the same
/// slices; the allocator's own thread would do that for milliseconds at a time.
pub fn at_leisure(work: impl FnOnce()) {
    let shard = match OWN.get() {
        NONE => seldom_shard(NONE),
        own => own % SHARDS,
    };
    leisure::begin();
    OWN.set(shard + SHARDS);
    work();
    OWN.set(shard);
    leisure::end();
}

mod leisure {
    use std::{
        cell::Cell,
        thread,
        time::{Duration, Instant},
    };

    use super::purge;

    /// Giving back what is freed meanwhile takes up to eight times as long.
    const SLICE: Duration = Duration::from_micros(40);
    const REST: Duration = Duration::from_micros(100);
    /// Blocks between two looks at the clock: some microseconds.
    const STEP: u32 = 64;

    thread_local! {
        static BLOCKS: Cell<u32> = const { Cell::new(0) };
        static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
        static HAS_RESTED: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn begin() {
        BEGAN.set(Some(Instant::now()));
    }

    /// What takes one slice is too little to be worth giving back: it is soon used again.
    pub(super) fn end() {
        if HAS_RESTED.take() {
            purge();
        }
    }

    /// A block is about to be allocated or freed. The allocator has no lock of this thread's.
    pub(super) fn step() {
        let blocks = BLOCKS.get().wrapping_add(1);
        BLOCKS.set(blocks);
        let is_over = || BEGAN.get().is_some_and(|began| began.elapsed() >= SLICE);
        if blocks.is_multiple_of(STEP) && is_over() {
            purge();
            thread::sleep(REST);
            HAS_RESTED.set(true);
            begin();
        }
    }
}

/// Bytes of the block that so many are given: jemalloc's classes are 16 bytes apart up to 128, then there
/// are four between a power of two and the next, and from 32 KiB on whole pages. A limit that did not
/// count what rounding takes would be passed by up to a quarter.
const fn block_size(size: usize) -> usize {
    const QUANTUM: usize = 16;
    const PAGE: usize = 4096;
    if size <= 8 {
        return 8;
    }
    let step = match size {
        ..=128 => QUANTUM,
        129..=32_768 => 1 << ((size - 1).ilog2() - 2),
        _ => PAGE,
    };
    (size + step - 1) & !(step - 1)
}

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|used| _ = used.fetch_add(block_size(layout.size()), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(|used| _ = used.fetch_add(block_size(layout.size()), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(|used| _ = used.fetch_sub(block_size(layout.size()), Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let more = block_size(new_size).wrapping_sub(block_size(layout.size()));
        count(|used| _ = used.fetch_add(more, Relaxed));
        // SAFETY: the caller's.
        unsafe { Backend.realloc(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// What one allocates, the other would count.
    static ALONE: Mutex<()> = Mutex::new(());

    #[cfg(feature = "jemalloc")]
    #[test]
    fn the_allocator_tells_of_its_pages() {
        let block = std::hint::black_box(vec![1u8; 1 << 24]);
        let pages = pages().expect("it is built with statistics");
        assert!(pages.allocated >= block.len() as u64 && pages.resident >= pages.active);
        assert!(pages.active >= pages.allocated);
        purge();
        assert!(report().is_some_and(|text| text.contains("jemalloc statistics")));
    }

    #[cfg(feature = "jemalloc")]
    #[test]
    fn blocks_are_as_long_as_the_allocator_makes_them() {
        unsafe extern "C" {
            safe fn _rjem_nallocx(size: usize, flags: std::ffi::c_int) -> usize;
        }
        for size in (1..70_000).chain((17..40).map(|power| (1 << power) + 1)) {
            assert_eq!(block_size(size), _rjem_nallocx(size, 0), "{size} bytes");
        }
    }

    #[cfg(feature = "jemalloc")]
    #[test]
    fn what_is_freed_at_leisure_goes_back_to_the_system_meanwhile() {
        const BYTES: usize = 64 << 20;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let resident = || pages().expect("it is built with statistics").resident;
        let blocks: Vec<Vec<u8>> = (0..BYTES / 8192).map(|_| vec![1; 8192]).collect();
        let (used, before) = (used_bytes(), resident());
        at_leisure(|| drop(std::hint::black_box(blocks)));
        assert!(used_bytes() < used - BYTES / 2 && resident() < before - BYTES as u64 / 2);
        assert!(OWN.get() < SHARDS, "what this thread does next is done without rests");
    }

    #[test]
    fn what_is_allocated_is_counted() {
        const BIG: usize = 1 << 30;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used_bytes();
        let block: Vec<u8> = Vec::with_capacity(BIG);
        assert!(used_bytes().wrapping_sub(before) > BIG / 2, "other tests do not hold as much");
        drop(block);
        assert!(used_bytes() < before + BIG / 2);
    }
}
