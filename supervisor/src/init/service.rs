//! One place in the table of services: what it should be, where it is, and its process.

use std::os::fd::OwnedFd;

use holdfast_supervisor::machine::{Exit, Record, SpawnStep, State};
use holdfast_supervisor::plan::Service;
use holdfast_supervisor::snapshot::Status;
use rustix::process::Pid;

use crate::cgroup::{self, Group};
use crate::held::Held;
use crate::supervisor::silence::Silence;

pub(crate) struct Slot {
    pub service: Service,
    pub record: Record,
    /// Counted from 1; names the cgroup and dates the agent's verdicts.
    pub run: u32,
    pub process: Option<Process>,
    /// What is left of the run before: its main process is gone, others may not be.
    pub leaving: Option<Leaving>,
    /// Descriptors that wait here for the next run.
    pub held: Held,
    /// It has said nothing for too long, and is being looked at.
    pub silence: Option<Silence>,
    /// What it says of itself.
    pub status: Status,
    /// Somebody stopped it: its end is not the container's.
    pub stopped_by_hand: bool,
    /// The plan changed something that only a new process can have.
    pub pending_restart: bool,
}

/// The cgroup of a run whose main process has ended.
pub(crate) struct Leaving {
    pub group: Group,
    events: Option<OwnedFd>,
    pub is_watched: bool,
}

impl Leaving {
    pub(crate) fn new(group: Group) -> Self {
        Self { events: group.events().ok(), group, is_watched: false }
    }

    /// Some process of the run lives, or nobody can tell.
    pub(crate) fn is_populated(&self) -> bool {
        self.events.as_ref().is_none_or(cgroup::is_populated)
    }

    /// Urgent (POLLPRI) when [`Self::is_populated`] may have changed since it was last asked.
    pub(crate) fn events(&self) -> Option<&OwnedFd> {
        self.events.as_ref()
    }
}

/// A child that has not been reaped.
pub(crate) struct Process {
    pub pid: Pid,
    pub pidfd: Option<OwnedFd>,
    pub group: Option<Group>,
    /// The container's count when this run began.
    pub oom_kills_before: u64,
    /// What the child writes when it cannot become the service.
    pub failure: OwnedFd,
    /// The session it was born in, which is its first process' number; `None`: init's own.
    pub session: Option<Pid>,
    /// It named another process its main one (MAINPID), which may not be our child.
    pub is_adopted: bool,
}

impl Slot {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            service,
            record: Record::NEW,
            run: 0,
            process: None,
            leaving: None,
            held: Held::default(),
            silence: None,
            status: Status::new(),
            stopped_by_hand: false,
            pending_restart: false,
        }
    }

    /// Stopped, with all of its run.
    pub(crate) fn is_down(&self) -> bool {
        self.record.state == State::Down
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.pid)
    }
}

/// What is known of a run when its main process has been reaped.
pub(crate) struct Ended {
    pub exit: Exit,
    pub group: Option<Group>,
    pub session: Option<Pid>,
}

impl Process {
    /// Lets go of its descriptors: the next run may need them.
    pub(crate) fn end(self, code: Option<i32>, signal: Option<i32>) -> Ended {
        let exit = self.exit(code, signal);
        Ended { exit, group: self.group, session: self.session }
    }

    /// The process is of this run: in its cgroup, or without one in its session.
    pub(crate) fn owns(&self, pid: Pid) -> bool {
        match &self.group {
            Some(group) => group.contains(pid),
            None => rustix::process::getsid(Some(pid)).ok() == self.session,
        }
    }

    /// What the status of `wait` means, given what else is known.
    fn exit(&self, code: Option<i32>, signal: Option<i32>) -> Exit {
        if let Some(failure) = self.spawn_failure() {
            return failure;
        }
        match (code, signal) {
            (_, Some(libc::SIGKILL)) if self.ran_out_of_memory() => Exit::Oom,
            (_, Some(signal)) => Exit::Signal(signal as u8),
            (code, None) => Exit::Code(code.unwrap_or(0) as u8),
        }
    }

    fn spawn_failure(&self) -> Option<Exit> {
        let mut report = [0; 3];
        let len = rustix::io::read(&self.failure, &mut report[..]).ok()?;
        let [step, low, high] = report;
        let step = SpawnStep::from_u8(step).filter(|_| len == 3)?;
        Some(Exit::Spawn { step, errno: u16::from_le_bytes([low, high]) })
    }

    fn ran_out_of_memory(&self) -> bool {
        match &self.group {
            Some(group) => group.oom_kills() > 0,
            None => cgroup::container_oom_kills() > self.oom_kills_before,
        }
    }
}
