//! What the guest writes on its serial port: kept, searched, and shown if wanted.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How much of it is kept; the oldest goes first.
const LIMIT: usize = 4 * 1024 * 1024;

/// Lines shown when something went wrong.
const LAST_LINES: usize = 25;

#[derive(Debug, Default)]
pub struct Console {
    state: Mutex<State>,
    changed: Condvar,
    shown: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
    held: bool,
}

impl Console {
    /// From now on, whether everything is passed on to our standard output.
    pub(crate) fn show(&self, shown: bool) {
        self.shown.store(shown, Ordering::Relaxed);
    }

    /// From now on, whether the guest's line is left unread, as by a terminal that is switched off:
    /// the guest finds that its serial port takes nothing.
    pub fn hold(&self, held: bool) {
        self.state().held = held;
        self.changed.notify_all();
    }

    /// Reads `from` to its end.
    pub(crate) fn fill(&self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if self.shown.load(Ordering::Relaxed) {
                // Nobody may be reading us any more; the guest goes on all the same.
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(&buffer[..len]).and_then(|()| out.flush());
            }
            self.add(&buffer[..len]);
            let state = self.state();
            drop(self.changed.wait_while(state, |state| state.held).expect("no reader panics"));
        }
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn add(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.bytes.extend(bytes);
        if state.bytes.len() > LIMIT {
            state.bytes.drain(..LIMIT / 2);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// All that was kept.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    /// The last lines, indented, for an error.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        last.iter().map(|l| format!("    | {l}\n")).collect()
    }

    /// Waits until `text` was written; false when the time is over or the guest is gone without.
    pub fn wait_for(&self, text: &str, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if state.bytes.windows(text.len()).any(|w| w == text.as_bytes()) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                return false;
            }
            state = self.changed.wait_timeout(state, left).expect("no reader panics").0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no reader panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_across_reads_and_missed_at_the_end() {
        let console = Console::default();
        console.fill((&b"boo"[..]).chain(&b"ted\n"[..]));
        assert!(console.wait_for("booted", Duration::ZERO));
        assert!(!console.wait_for("panic", Duration::from_secs(60)), "the end is known at once");
        assert_eq!(console.tail(), "    | booted\n");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let console = Console::default();
        console.fill(std::io::repeat(b'x').take(3 * LIMIT as u64));
        assert!(console.text().len() <= LIMIT);
    }
}
