//! How a run ended, and what that says about starting again.

use rustix::io::Errno;

use super::{Policy, Restart};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(u8),
    /// Killed by the kernel because its cgroup, or the machine, had no memory left.
    Oom,
    /// Killed by init because it did not answer its probes, or fell silent.
    Hung,
    /// Killed by init because it did not become ready in time.
    Late,
    /// Never ran: a step between clone and exec failed with this errno.
    Spawn {
        step: SpawnStep,
        errno: u16,
    },
}

impl Exit {
    /// What another try may find otherwise: the machine was full, the program is not to blame.
    pub fn is_shortage(self) -> bool {
        const SHORT: [Errno; 5] =
            [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC];
        let Self::Spawn { errno, .. } = self else { return false };
        SHORT.iter().any(|short| short.raw_os_error() == i32::from(errno))
    }

    /// The program says that starting it again is of no use.
    pub fn is_permanent(self, policy: &Policy) -> bool {
        matches!(self, Self::Code(code) if code != 0 && policy.permanent_exits.contains(&code))
    }

    /// Whether the service is wanted again.
    pub(super) fn asks_for_another(self, policy: &Policy) -> bool {
        match policy.restart {
            _ if self.is_shortage() => true,
            Restart::Always => true,
            Restart::OnCrash => !matches!(self, Self::Code(_) | Self::Spawn { .. }),
            Restart::Never => false,
        }
    }
}

/// What a child does before it becomes the service; the numbers go over a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SpawnStep {
    Clone = 0,
    Stdio = 1,
    Directory = 2,
    Privileges = 3,
    Exec = 4,
    Prepare = 5,
    Sandbox = 6,
}

impl SpawnStep {
    pub const ALL: [Self; 7] = [
        Self::Clone,
        Self::Stdio,
        Self::Directory,
        Self::Privileges,
        Self::Exec,
        Self::Prepare,
        Self::Sandbox,
    ];

    pub fn from_u8(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == byte)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Stdio => "standard streams",
            Self::Directory => "working directory",
            Self::Privileges => "privilege drop",
            Self::Exec => "exec",
            Self::Prepare => "preparation",
            Self::Sandbox => "sandbox",
        }
    }
}
