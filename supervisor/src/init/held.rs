//! Descriptors that a service gave to be kept for its next run (sd_notify's FDSTORE).
//!
//! A listening socket that stays open here goes on queueing connections while the server is away.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use holdfast_supervisor::notify::FdName;

/// Of one service: every address it listens on, TLS and unix sockets included.
pub(crate) const MAX_HELD: usize = 16;

#[derive(Default)]
pub(crate) struct Held {
    kept: Vec<Kept, MAX_HELD>,
}

struct Kept {
    name: FdName,
    descriptor: OwnedFd,
    /// What it is, whatever its number: device and inode.
    identity: Option<(u64, u64)>,
}

impl Held {
    /// False when there is no room. What is kept already is not kept twice.
    pub(crate) fn keep(&mut self, name: &FdName, descriptor: OwnedFd) -> bool {
        let identity = identity(descriptor.as_fd());
        let same = |kept: &Kept| identity.is_some() && kept.identity == identity;
        if self.kept.iter().any(same) {
            return true;
        }
        self.kept.push(Kept { name: name.clone(), descriptor, identity }).is_ok()
    }

    pub(crate) fn remove(&mut self, name: &FdName) {
        self.kept.retain(|kept| kept.name != *name);
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &FdName> {
        self.kept.iter().map(|kept| &kept.name)
    }

    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>, MAX_HELD> {
        self.kept.iter().map(|kept| kept.descriptor.as_fd()).collect()
    }
}

fn identity(descriptor: BorrowedFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(descriptor).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn name(text: &str) -> FdName {
        FdName::try_from(text).expect("short")
    }

    fn socket() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").expect("a free port")
    }

    #[test]
    fn what_is_kept_already_is_not_kept_twice() {
        let mut held = Held::default();
        let listener = socket();
        for _ in 0..2 * MAX_HELD {
            let again = listener.try_clone().expect("a descriptor");
            assert!(held.keep(&name("listen"), again.into()));
        }
        assert_eq!(held.descriptors().len(), 1);
    }

    #[test]
    fn room_is_bounded_and_made_by_name() {
        let mut held = Held::default();
        for at in 0..MAX_HELD {
            assert!(held.keep(&name(if at % 2 == 0 { "a" } else { "b" }), socket().into()));
        }
        assert!(!held.keep(&name("a"), socket().into()));
        held.remove(&name("a"));
        assert_eq!(held.names().count(), MAX_HELD / 2);
        assert!(held.names().all(|kept| kept == "b"));
        held.clear();
        assert!(held.is_empty());
    }
}
