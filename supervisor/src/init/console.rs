//! init's own lines, to standard error, never waiting for it.
//!
//! A console may be a serial line with flow control and a container's log a full pipe: a line waits in
//! a ring, and what is overwritten there is counted and said with the next line that gets through.

use core::ffi::CStr;
use core::fmt::{Arguments, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use heapless::String;
use holdfast_supervisor::record::Words;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::keeper;
use crate::log::outlet::Outlet;
use crate::log::ring::{Lines, Ring};
use crate::log::{self, Flow};

const LINE_BYTES: usize = 512;
/// Some hundred lines: everything between a start and the first trouble.
const RING_BYTES: usize = 16 * 1024;

static OWN: Mutex<Own> = Mutex::new(Own { ring: Ring::new(), lines: Lines::NEW });
static OUTLET: OnceLock<Outlet> = OnceLock::new();
/// A service's line has gone out in part where own lines go, too: they wait for its end.
static WAITS: AtomicBool = AtomicBool::new(false);

struct Own {
    ring: Ring<RING_BYTES>,
    lines: Lines,
}

macro_rules! say {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// `holdfast-init: …`, cut at 512 bytes.
pub(crate) fn line(message: Arguments) {
    let text = compose(message);
    // Held by nobody, as there is one thread; a panic in the middle of a line may hold it.
    let Ok(mut own) = OWN.try_lock() else { return };
    let Own { ring, lines } = &mut *own;
    ring.push(text.as_bytes(), lines);
    drop(own);
    flush();
}

/// Lines that waited go out as far as standard error takes them.
pub(crate) fn flush() -> Flow {
    if waits() {
        return Flow::Full;
    }
    let Ok(mut own) = OWN.try_lock() else { return Flow::Done };
    let Own { ring, lines } = &mut *own;
    match OUTLET.get() {
        Some(outlet) => log::relay(ring, lines, outlet, true),
        None => log::relay(ring, lines, &Outlet::Given(rustix::stdio::stderr()), true),
    }
}

/// Once the streams are what they will be. Before the heap is sealed.
pub(crate) fn own_outlet() {
    let _ = OUTLET.set(Outlet::open(rustix::stdio::stderr(), "/proc/self/fd/2"));
}

pub(crate) fn waits() -> bool {
    WAITS.load(Ordering::Relaxed)
}

pub(crate) fn wait(waits: bool) {
    WAITS.store(waits, Ordering::Relaxed);
}

/// An own line has gone out in part.
pub(crate) fn is_mid_line() -> bool {
    OWN.try_lock().is_ok_and(|own| own.lines.is_mid_line())
}

/// Whether own lines go where `other` does.
pub(crate) fn writes_to(other: &Outlet) -> bool {
    let file = |stat: Stat| (stat.st_dev, stat.st_ino);
    let own = OUTLET.get().and_then(|own| rustix::fs::fstat(own).ok()).map(file);
    own.is_some() && own == rustix::fs::fstat(other).ok().map(file)
}

/// Wakes the loop when standard error takes more.
pub(crate) fn arm(epoll: &OwnedFd, token: u64, flow: Flow) -> Result<(), Errno> {
    OUTLET.get().map_or(Ok(()), |outlet| log::arm(epoll, outlet, token, flow))
}

/// Nothing is written any more: standard error belongs to the command. Before [`own_outlet`].
pub(crate) fn be_silent() {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(null) = rustix::fs::open(c"/dev/null", flags, Mode::empty()) {
        let _ = OUTLET.set(Outlet::Own(null));
    }
}

pub(crate) fn dropped() -> u64 {
    OWN.try_lock().map_or(0, |own| own.lines.dropped())
}

/// Own lines from `at` on: where they begin in truth and how many bytes of `buffer` they fill.
pub(crate) fn copy(at: u64, buffer: &mut [u8]) -> Option<(u64, usize)> {
    let own = OWN.try_lock().ok().filter(|own| at < own.ring.written())?;
    let at = at.max(own.ring.oldest());
    Some((at, own.ring.copy(at, buffer).len()))
}

/// The newest of init's own lines that fit, for the record of a crash.
#[allow(dead_code, reason = "the record of a crash is made elsewhere")]
pub(crate) fn last_lines(buffer: &mut [u8]) -> &[u8] {
    let Ok(own) = OWN.try_lock() else { return &[] };
    let from = own.ring.written().saturating_sub(buffer.len() as u64);
    own.ring.copy(from, buffer)
}

/// What stands where lines are missing.
pub(crate) fn notice(mid_line: bool, dropped: u64) -> String<LINE_BYTES> {
    let mut text = String::new();
    // A number and few words fit.
    if mid_line {
        let _ = text.push('\n');
    }
    if dropped > 0 {
        let _ = writeln!(text, "holdfast-init: {dropped} lines were dropped here");
    }
    text
}

pub(crate) fn compose(message: Arguments) -> String<LINE_BYTES> {
    let mut text = String::new();
    let whole = write!(text, "holdfast-init: ").and_then(|()| text.write_fmt(message));
    if whole.is_err() || text.push('\n').is_err() {
        text.pop();
        let _ = text.push('\n');
    }
    text
}

/// Descriptors 0–2 must be something before anything else is opened.
pub(crate) fn open_missing_streams() {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::io::fcntl_getfd(stream).is_ok() {
            continue;
        }
        let console =
            rustix::fs::open(c"/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
                .or_else(|_| rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()));
        // The lowest free number is the stream's own; it is kept open for ever.
        if let Ok(console) = console {
            std::mem::forget(console);
        }
    }
}

/// Points 0–2 at the console once /dev is there; where the kernel has none they are something else.
pub(crate) fn reopen() {
    let Ok(console) =
        rustix::fs::open(c"/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
    else {
        return open_missing_streams();
    };
    let _ = rustix::stdio::dup2_stdin(&console);
    let _ = rustix::stdio::dup2_stdout(&console);
    let _ = rustix::stdio::dup2_stderr(&console);
    if std::os::fd::AsRawFd::as_raw_fd(&console) <= 2 {
        std::mem::forget(console);
    }
}

/// Opened for itself: that it refuses instead of waiting is a matter of the open file.
pub(crate) fn open_for_agent() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(c"/dev/console", flags, Mode::empty()).ok()
}

/// To the kernel's log too, which a kernel that panics afterwards keeps.
pub(crate) fn kernel_line(message: Arguments) {
    line(message);
    put(c"/dev/kmsg", compose(message).as_bytes());
}

/// What ends a machine: also for its next start, in the boot record and in memory that survives a
/// reset, where there is such memory.
pub(crate) fn last_words(message: Arguments) {
    kernel_line(message);
    put(c"/dev/pmsg0", compose(message).as_bytes());
    let mut words = Words::new();
    // Cut where it is full.
    let _ = words.write_fmt(message);
    keeper::change(|record| record.words = words);
}

fn put(device: &CStr, text: &[u8]) {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if let Ok(device) = rustix::fs::open(device, flags, Mode::empty()) {
        let _ = rustix::io::write(device, text);
    }
}
