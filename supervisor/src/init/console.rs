//! One line at a time to standard error, never waiting for it.
//!
//! A console may be a serial line with flow control and a container's log a full pipe: a line that
//! would block is dropped, counted, and the count is said with the next line that gets through.

use core::fmt::{Arguments, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use heapless::String;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

const LINE_BYTES: usize = 512;

static DROPPED: AtomicU32 = AtomicU32::new(0);

macro_rules! say {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// `holdfast-init: …`, cut at 512 bytes.
pub(crate) fn line(message: Arguments) {
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    let mut text = compose(message);
    if dropped > 0 {
        let _ = text.pop();
        let _ = writeln!(text, " ({dropped} lines before this one were dropped)");
    }
    if !write_now(text.as_bytes()) {
        DROPPED.store(dropped.saturating_add(1), Ordering::Relaxed);
    }
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

fn write_now(text: &[u8]) -> bool {
    let stderr = rustix::stdio::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let writable = rustix::event::poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0);
    writable && rustix::io::write(stderr, text).is_ok()
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

/// Points 0–2 at the console once /dev is there.
pub(crate) fn reopen() {
    let Ok(console) =
        rustix::fs::open(c"/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
    else {
        return;
    };
    let _ = rustix::stdio::dup2_stdin(&console);
    let _ = rustix::stdio::dup2_stdout(&console);
    let _ = rustix::stdio::dup2_stderr(&console);
    if std::os::fd::AsRawFd::as_raw_fd(&console) <= 2 {
        std::mem::forget(console);
    }
}

/// To the kernel's log too, where it survives the console: for what ends a machine.
pub(crate) fn kernel_line(message: Arguments) {
    line(message);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if let Ok(log) = rustix::fs::open(c"/dev/kmsg", flags, Mode::empty()) {
        let _ = rustix::io::write(log, compose(message).as_bytes());
    }
}
