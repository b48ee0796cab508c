//! The heap is open during start-up and sealed afterwards.
//!
//! PID 1 must not need memory to keep a machine alive: an allocation can fail exactly when it is
//! needed most. The shipped build counts allocations after [`seal`] and `status` shows the count;
//! the `trap-alloc` build, which the tests run, ends with a message at the first one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[global_allocator]
static HEAP: Guard = Guard;

static SEALED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Guard;

/// From here on every allocation is counted, or ends the process with `trap-alloc`.
pub(crate) fn seal() {
    SEALED.store(true, Ordering::Relaxed);
}

/// Allocations since [`seal`]; zero for as long as PID 1 keeps its promise.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

fn note() {
    if SEALED.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        if cfg!(feature = "trap-alloc") && !std::thread::panicking() {
            trap();
        }
    }
}

fn trap() -> ! {
    let text = b"holdfast-init: allocation after start-up (trap-alloc build)\n";
    let _ = rustix::io::write(rustix::stdio::stderr(), text);
    super::process::exit_now(crate::crash::EXIT_CRASHED)
}

// SAFETY: every call goes to the system allocator unchanged; `note` touches only atomics.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note();
        // SAFETY: as above; `ptr` came from the system allocator.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from the system allocator.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[cfg(all(test, not(feature = "trap-alloc")))]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_after_the_seal_is_counted() {
        drop(std::hint::black_box(Box::new(1)));
        assert_eq!(allocations(), 0, "the heap is open until it is sealed");
        seal();
        drop(std::hint::black_box(Box::new(1)));
        assert!(allocations() > 0);
    }
}
