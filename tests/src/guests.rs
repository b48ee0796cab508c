//! How many QEMU guests run at a time. Most tests wait, so more of them run together than there are
//! processors; a guest under emulation keeps one busy while it boots, and waits for its test after that.

use std::sync::{Condvar, Mutex, PoisonError};

static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// A guest's, until it is dropped. A test that holds one and waits for another may wait for ever.
#[derive(Debug)]
pub struct Place(());

impl Place {
    /// Waits for one. There is one more than processors: of so many guests one usually waits.
    pub fn take() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = LEFT.wait_while(taken, |taken| *taken > processors);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        LEFT.notify_one();
    }
}
