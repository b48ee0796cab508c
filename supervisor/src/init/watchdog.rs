//! The hardware watchdog: resets a machine whose PID 1 has stopped feeding it.
//!
//! Opened first thing, which arms it; never disarmed except by `watchdog_s = 0`. A soft one, which
//! needs the very kernel it watches, is taken only when there is no other.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::console::say;
use crate::sys;

/// Seconds, unless the plan or the kernel command line say otherwise.
pub(crate) const DEFAULT_S: u16 = 30;

const CLASS: &str = "/sys/class/watchdog";
const SOFT: &str = "Software Watchdog";
/// Written last, it disarms the device when it is closed (Documentation/watchdog/watchdog-api).
const MAGIC_CLOSE: &[u8] = b"V";

pub(crate) struct Watchdog {
    device: OwnedFd,
    pub timeout_s: u16,
    /// It is why the machine starts anew.
    pub caused_the_last_reset: bool,
}

impl Watchdog {
    /// The best one there is, armed; nothing when there is none.
    pub(crate) fn open(timeout_s: u16) -> Option<Self> {
        let path = best()?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let device = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(device) => device,
            Err(errno) => {
                say!("watchdog: cannot open {}: {errno}", path.display());
                return None;
            }
        };
        let caused_the_last_reset = sys::watchdog::caused_the_last_reset(&device);
        let mut watchdog = Self { device, timeout_s, caused_the_last_reset };
        watchdog.set_timeout(timeout_s);
        Some(watchdog)
    }

    /// The device may round; what it really does counts.
    pub(crate) fn set_timeout(&mut self, timeout_s: u16) {
        match sys::watchdog::set_timeout(&self.device, timeout_s) {
            Ok(real) => self.timeout_s = real,
            Err(errno) => say!("watchdog: it stays at {} s: {errno}", self.timeout_s),
        }
        self.feed();
    }

    pub(crate) fn feed(&self) {
        if let Err(errno) = rustix::io::write(&self.device, b"\0")
            && errno != Errno::INTR
        {
            say!("watchdog: cannot feed it: {errno}");
        }
    }

    /// The plan wants none.
    pub(crate) fn disarm(self) {
        if let Err(errno) = rustix::io::write(&self.device, MAGIC_CLOSE) {
            say!("watchdog: it cannot be disarmed: {errno}");
        }
    }
}

fn best() -> Option<PathBuf> {
    let devices = fs::read_dir(CLASS).ok()?.flatten().map(|entry| entry.path());
    let best = devices.min_by_key(|device| (is_soft(device), device.clone()))?;
    Some(Path::new("/dev").join(best.file_name()?))
}

fn is_soft(device: &Path) -> bool {
    fs::read_to_string(device.join("identity")).is_ok_and(|name| name.trim() == SOFT)
}
