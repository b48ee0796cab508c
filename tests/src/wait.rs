//! Waiting for a condition, with a deadline that is generous because the machine may be loaded.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Polls `probe` until it yields a value; `None` when `limit` has passed first.
pub fn until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// Polls `condition` until it holds and panics with `what` when it never does.
#[track_caller]
pub fn expect(what: &str, mut condition: impl FnMut() -> bool) {
    let held = until(PATIENCE, || condition().then_some(()));
    assert!(held.is_some(), "waited {PATIENCE:?} in vain for: {what}");
}
