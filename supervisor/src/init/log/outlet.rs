//! Standard output or error, as a place that lines can be offered to and that never makes PID 1 wait.
//!
//! O_NONBLOCK belongs to the open file, which we share with whoever started us, so we open the same
//! pipe or terminal once more for ourselves. Where that is refused, poll says whether a line fits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// `PIPE_BUF` of linux/limits.h: a pipe that poll calls writable takes this much at once, and
/// nothing of another writer comes between.
pub(crate) const ATOMIC_BYTES: usize = 4096;

pub(crate) enum Outlet {
    /// Opened by ourselves; refuses instead of blocking.
    Own(OwnedFd),
    /// What we were given.
    Given(BorrowedFd<'static>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Took(usize),
    Full,
    /// Nobody is there.
    Gone,
}

impl Outlet {
    /// `again` is the stream's name below /proc/self/fd.
    pub(crate) fn open(stream: BorrowedFd<'static>, again: &'static str) -> Self {
        let kind = rustix::fs::fstat(stream).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let waits = matches!(kind, Ok(FileType::Fifo | FileType::CharacterDevice));
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::open(again, flags, Mode::empty()) {
            Ok(own) if waits => Self::Own(own),
            _ => Self::Given(stream),
        }
    }

    pub(crate) fn offer(&self, text: &[u8]) -> Offered {
        let text = text.get(..ATOMIC_BYTES).unwrap_or(text);
        let taken = match self {
            Self::Own(fd) => rustix::io::write(fd, text),
            Self::Given(fd) if is_writable(*fd) => rustix::io::write(fd, text),
            Self::Given(_) => return Offered::Full,
        };
        match taken {
            Ok(len) => Offered::Took(len),
            Err(Errno::AGAIN | Errno::INTR | Errno::NOSPC) => Offered::Full,
            Err(_) => Offered::Gone,
        }
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Given(fd) => *fd,
        }
    }
}

pub(crate) fn is_writable(fd: impl AsFd) -> bool {
    let mut ready = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pipe_refuses_and_a_closed_one_is_gone() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let writer: &'static OwnedFd = Box::leak(Box::new(writer));
        let outlet = Outlet::Given(writer.as_fd());
        let line = [b'x'; 2 * ATOMIC_BYTES];
        let mut taken = 0;
        loop {
            match outlet.offer(&line) {
                Offered::Took(len) => taken += len,
                other => break assert_eq!(other, Offered::Full),
            }
        }
        assert!(taken >= ATOMIC_BYTES && taken % ATOMIC_BYTES == 0, "{taken}");
        let mut room = vec![0; taken];
        rustix::io::read(&reader, &mut room).expect("what was written");
        assert_eq!(outlet.offer(b"again\n"), Offered::Took(6));
        drop(reader);
        // A test runs with SIGPIPE ignored, PID 1 with it blocked.
        assert_eq!(outlet.offer(b"nobody\n"), Offered::Gone);
    }
}
