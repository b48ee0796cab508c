//! Descriptors that PID 1 holds back for the start of a service.
//!
//! When a limit is reached, of this process or of the machine, they are given up for as long as a
//! start takes: a service that ended can be started again whatever else uses descriptors.

use std::os::fd::OwnedFd;

use heapless::Vec;
use rustix::fs::{Mode, OFlags};

/// A cgroup and one file in it, a pair for the agent, a pipe, a pidfd, and the child's /dev/null.
const COUNT: usize = 8;

#[derive(Default)]
pub(crate) struct Reserve {
    held: Vec<OwnedFd, COUNT>,
}

impl Reserve {
    /// As many as can be had. Each is an opening of its own: the machine counts those.
    pub(crate) fn fill(&mut self) {
        while !self.held.is_full() {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let Ok(null) = rustix::fs::open(c"/dev/null", flags, Mode::empty()) else { return };
            // There is room.
            let _ = self.held.push(null);
        }
    }

    pub(crate) fn give_up(&mut self) {
        self.held.clear();
    }
}
