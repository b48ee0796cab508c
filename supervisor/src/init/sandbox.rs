//! What a service may do once it runs: the system calls of a list ([`syscalls`]), and the files of a
//! few folders ([`files`]). Prepared before the heap is sealed, put on by the child before exec.
//!
//! A kernel that has neither is a degraded guarantee, said at start. A kernel that has them and
//! refuses is a failed start: a service never runs with less than was prepared for it.

mod files;
mod filter;
mod syscalls;

use std::os::fd::OwnedFd;

use holdfast_supervisor::snapshot::Mode;

use crate::sys::sandbox as sys;
use filter::Program;
use syscalls::Who;

/// For one service; the same for each of its runs.
pub(crate) struct Sandbox {
    filter: Option<Program>,
    files: Option<OwnedFd>,
}

pub(crate) struct Sandboxes {
    pub server: Sandbox,
    pub agent: Sandbox,
}

impl Sandboxes {
    /// `words` are the server's arguments: a file named there may be rewritten.
    /// The agent may write an update to `slot`.
    pub(crate) fn prepare(
        mode: Mode,
        words: &[&core::ffi::CStr],
        slot: Option<&std::path::Path>,
    ) -> Self {
        let filtered = sys::can_filter();
        let abi = sys::landlock_abi().filter(|abi| *abi >= files::LEAST_ABI);
        let of = |who| Sandbox {
            filter: filtered.then(|| filter::compile(&syscalls::of(who))),
            files: abi.and_then(|abi| files::ruleset(who, mode, abi, words, slot)),
        };
        Self { server: of(Who::Server), agent: of(Who::Agent) }
    }
}

impl Sandbox {
    pub(crate) fn filters_calls(&self) -> bool {
        self.filter.is_some()
    }

    pub(crate) fn confines_files(&self) -> bool {
        self.files.is_some()
    }

    /// In the child, after `no_new_privs`; the filter last, because it refuses what the rest needs.
    pub(crate) fn put_on(&self) -> rustix::io::Result<()> {
        if let Some(files) = &self.files {
            sys::confine(files)?;
        }
        match &self.filter {
            Some(filter) => sys::filter(filter),
            None => Ok(()),
        }
    }
}
