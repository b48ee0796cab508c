//! The end of a run: its process is reaped, what it left behind is killed, and only when the last of
//! it is gone may there be another.

use std::os::fd::{AsFd, OwnedFd};

use heapless::Vec;
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::machine::{Event, Exit, State};
use holdfast_supervisor::snapshot::{MAX_SLOTS, Mode};
use rustix::event::{PollFd, PollFlags, epoll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

use super::stop::Phase;
use super::storm::PAUSE;
use super::{AGENT, CGROUPS, MAIN, Supervisor};
use crate::cgroup::Group;
use crate::console::say;
use crate::finish::End;
use crate::service::{Ended, Leaving, Slot};

/// Children reaped per turn, so that a storm of orphans leaves room for everything else.
pub(super) const REAPS_PER_TURN: usize = 256;
/// `__WALL` of wait(2): also children that do not signal their end with SIGCHLD.
const WALL: u32 = 0x4000_0000;
const ENDED: WaitOptions = WaitOptions::NOHANG.union(WaitOptions::from_bits_retain(WALL));

impl Supervisor {
    /// Everything that ended: services, and the orphans that PID 1 inherits. How many they were; there
    /// may be more of [`REAPS_PER_TURN`].
    pub(super) fn reap(&mut self) -> usize {
        let mut reaped = 0;
        while reaped < REAPS_PER_TURN {
            let Ok(Some((pid, status))) = rustix::process::wait(ENDED) else { break };
            reaped += 1;
            self.beat_ended(pid, status.exit_status());
            self.ended(pid, status.exit_status(), status.terminating_signal());
        }
        // The kernel counts the dead as their user's processes: the next run might find no room.
        if reaped < REAPS_PER_TURN {
            (0..self.slots.len()).for_each(|at| self.look_whether_cleared(at));
        }
        if reaped > 0
            && let Some(cgroups) = &mut self.cgroups
        {
            cgroups.sweep();
        }
        reaped
    }

    /// Only services, each by its number, which the kernel finds without a look at the other children.
    pub(super) fn reap_services(&mut self) -> usize {
        let mut reaped = 0;
        for at in 0..self.slots.len() {
            let Some(pid) = self.slots.get(at).and_then(Slot::pid) else { continue };
            let Ok(Some((pid, status))) = waitpid(Some(pid), ENDED) else { continue };
            reaped += 1;
            self.ended(pid, status.exit_status(), status.terminating_signal());
        }
        reaped
    }

    /// There are runs that were killed, and of each some live; the main process does not.
    pub(super) fn killed_trees_live(&self) -> bool {
        let mut trees = self.killed_trees().peekable();
        trees.peek().is_some() && trees.all(Leaving::is_populated)
    }

    fn killed_trees(&self) -> impl Iterator<Item = &Leaving> {
        let is_killed = |slot: &&Slot| matches!(slot.record.state, State::Clearing { .. });
        self.slots.iter().filter(is_killed).filter_map(|slot| slot.leaving.as_ref())
    }

    /// Children gather, until one of the killed trees is gone at the latest.
    pub(super) fn pause(&self) {
        let events = self.killed_trees().filter_map(Leaving::events);
        let mut ends: Vec<PollFd<'_>, MAX_SLOTS> =
            events.map(|events| PollFd::new(events, PollFlags::PRI)).collect();
        let _ = rustix::event::poll(&mut ends, Some(&PAUSE));
    }

    /// The slot whose main process this is.
    fn slot_of(&self, pid: Pid) -> Option<usize> {
        self.slots.iter().position(|slot| slot.pid() == Some(pid))
    }

    fn ended(&mut self, pid: Pid, code: Option<i32>, signal: Option<i32>) {
        if self.slot_of(pid).is_some() {
            // All that it said is there to be read, for the last time as its own; it may have named
            // its successor.
            self.read_notices();
        }
        let Some(at) = self.slot_of(pid) else { return };
        let Some(process) = self.slots.get_mut(at).and_then(|slot| slot.process.take()) else {
            return;
        };
        self.logs.drain(at);
        let Ended { exit, group, session } = process.end(code, signal);
        if let Some(session) = session {
            // Without a cgroup this is what can be found of its children.
            let _ = rustix::process::kill_process_group(session, Signal::KILL);
        }
        if let (Some(group), Some(slot)) = (group, self.slots.get_mut(at)) {
            slot.leaving = Some(Leaving::new(group));
        }
        if at == AGENT {
            self.channel = None;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.status.clear();
        }
        self.feed(at, Event::Exited(exit));
        self.look_whether_cleared(at);
        if at == AGENT && self.plan_due.is_some() {
            // It ended before it spoke; it will be back, the server need not wait for it.
            self.start_services();
        }
    }

    /// The end of a process that is somebody else's child is only seen, never reaped: nobody knows
    /// how it ended.
    pub(super) fn look_at_adopted(&mut self, at: usize) {
        let Some(process) = self.slots.get(at).and_then(|slot| slot.process.as_ref()) else {
            return;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let (true, Some(pidfd)) = (process.is_adopted, &process.pidfd) else { return };
        if matches!(waitid(WaitId::PidFd(pidfd.as_fd()), options), Err(Errno::CHILD)) {
            self.ended(process.pid, None, None);
        }
    }

    /// A run whose last process is gone is over; one that has others is watched.
    pub(super) fn look_whether_cleared(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if !matches!(slot.record.state, State::Clearing { .. }) {
            return;
        }
        match &mut slot.leaving {
            Some(leaving) if leaving.is_populated() => watch_group(&self.epoll, leaving, at),
            _ => {
                self.retire(at);
                self.feed(at, Event::Cleared);
            }
        }
    }

    fn retire(&mut self, at: usize) {
        let leaving = self.slots.get_mut(at).and_then(|slot| slot.leaving.take());
        if let (Some(cgroups), Some(leaving)) = (&mut self.cgroups, leaving) {
            cgroups.retire(leaving.group);
        }
    }

    /// What SIGKILL does not end waits in the kernel, for a disk that does not answer. The service
    /// goes on in a new cgroup; the old one is removed when it can be.
    pub(super) fn leave_behind(&mut self, at: usize) {
        let Some(slot) = self.slots.get(at) else { return };
        if slot.leaving.is_none() || matches!(slot.record.state, State::Clearing { .. }) {
            return;
        }
        say!(
            "{}: processes of run {} do not end; going on without them",
            slot.service.name,
            slot.run
        );
        self.machine.degrade(Degraded::LeftBehind);
        self.retire(at);
    }

    pub(super) fn kill_tree(&self, at: usize) {
        let Some(slot) = self.slots.get(at) else { return };
        let Some(process) = &slot.process else {
            if let Some(leaving) = &slot.leaving {
                leaving.group.kill();
            }
            return;
        };
        if process.group.as_ref().is_some_and(Group::kill) {
            return;
        }
        if let Some(session) = process.session {
            let _ = rustix::process::kill_process_group(session, Signal::KILL);
        }
        self.signal(at, Signal::KILL);
    }

    /// In a container the command's end is the container's end, unless somebody stopped it.
    pub(super) fn end_with_main(&mut self, at: usize) {
        let Some(slot) = self.slots.get(at).filter(|_| at == MAIN) else { return };
        let over =
            matches!(slot.record.state, State::Down | State::Failed) && !slot.stopped_by_hand;
        let Some(last) = slot.record.last_exit.filter(|_| over) else { return };
        if self.machine.mode == Mode::Container && self.phase == Phase::Running {
            self.stop(End::Exit(exit_code(last.exit)));
        }
    }
}

/// A watch that cannot be had is made good by the look after every turn, and by the deadline.
fn watch_group(epoll: &OwnedFd, leaving: &mut Leaving, at: usize) {
    if leaving.is_watched {
        return;
    }
    leaving.is_watched = true;
    if let Some(events) = leaving.events() {
        let data = epoll::EventData::new_u64(CGROUPS + at as u64);
        let _ = epoll::add(epoll, events, data, epoll::EventFlags::PRI);
    }
}

/// As a shell reports it.
fn exit_code(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => i32::from(code),
        Exit::Signal(signal) => 128 + i32::from(signal),
        Exit::Oom | Exit::Hung | Exit::Late => 128 + libc::SIGKILL,
        Exit::Spawn { errno, .. } if i32::from(errno) == libc::ENOENT => 127,
        Exit::Spawn { .. } => 126,
    }
}
