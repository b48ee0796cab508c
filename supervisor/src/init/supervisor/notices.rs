//! What services say of themselves on the notify socket, and what follows from it.

use std::os::fd::OwnedFd;

use heapless::Vec;
use holdfast_supervisor::machine::Event;
use holdfast_supervisor::notify::{Descriptors, Watchdog};
use holdfast_supervisor::plan::text;
use holdfast_supervisor::snapshot::Status;
use rustix::process::{Pid, PidfdFlags};

use super::{MAIN, PIDFDS, Supervisor, watch};
use crate::console::say;
use crate::held::MAX_HELD;
use crate::notify::Received;
use crate::sys::datagram::MAX_FDS;

/// A service that floods is heard, and so is everybody else.
const NOTICES_PER_TURN: usize = 32;
/// What a service is said to do while it has no words of its own for it.
const RELOADING: &str = "reloading";

impl Supervisor {
    pub(super) fn read_notices(&mut self) {
        for _ in 0..NOTICES_PER_TURN {
            let Some(received) = self.notify.as_ref().and_then(|notify| notify.receive()) else {
                return;
            };
            match self.main_process(received.sender) {
                Some(at) => self.hear_service(at, received),
                None => self.count_stranger(received.sender),
            }
        }
    }

    /// Only a service's main process speaks for it: its children, other services and whoever else
    /// knows the socket's name do not.
    fn main_process(&self, sender: i32) -> Option<usize> {
        let sender = Pid::from_raw(sender)?;
        let services = self.slots.iter().skip(MAIN);
        services.map(|slot| slot.pid()).position(|pid| pid == Some(sender)).map(|at| MAIN + at)
    }

    /// Said the first time and at every power of two, for who floods is not helped by a flood.
    fn count_stranger(&mut self, sender: i32) {
        self.strangers = self.strangers.saturating_add(1);
        if self.strangers.is_power_of_two() {
            let so_far = self.strangers;
            say!("process {sender} speaks for no service; ignored ({so_far} notices so far)");
        }
    }

    fn hear_service(&mut self, at: usize, received: Received) {
        let notice = received.notice;
        if let Some(named) = notice.descriptors {
            self.keep(at, named, received.descriptors);
        }
        if let Some(pid) = notice.main_pid {
            self.adopt(at, pid);
        }
        let status = notice.status.or_else(|| notice.reloading.then(|| text(RELOADING)));
        if let Some(status) = status {
            self.show(at, status);
        }
        if let Some(ms) = notice.extend_ms {
            self.feed(at, Event::Extend(ms));
        }
        match notice.watchdog {
            Some(Watchdog::Alive) => self.feed(at, Event::Alive),
            Some(Watchdog::Trigger) => self.feed(at, Event::Hung),
            None => {}
        }
        if notice.ready {
            self.feed(at, Event::Ready);
            self.end_reload(at);
        }
        if notice.stopping {
            self.feed(at, Event::Ending);
        }
    }

    fn keep(&mut self, at: usize, named: Descriptors, descriptors: Vec<OwnedFd, MAX_FDS>) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        match named {
            Descriptors::Remove(name) => slot.held.remove(&name),
            Descriptors::Store(name) => {
                let all = descriptors.into_iter().all(|each| slot.held.keep(&name, each));
                if !all {
                    say!("{}: no more than {MAX_HELD} descriptors are kept", slot.service.name);
                }
            }
        }
    }

    fn show(&mut self, at: usize, status: Status) {
        if let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.status != status) {
            slot.status = status;
            self.changed = true;
        }
    }

    fn end_reload(&mut self, at: usize) {
        if self.slots.get(at).is_some_and(|slot| slot.status == RELOADING) {
            self.show(at, Status::new());
        }
    }

    /// Another process is the main one from now on, if it belongs to this run.
    fn adopt(&mut self, at: usize, pid: i32) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let (Some(pid), Some(process)) = (Pid::from_raw(pid), &mut slot.process) else { return };
        if process.pid == pid {
            return;
        }
        let Some(pidfd) = process
            .owns(pid)
            .then(|| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
            .flatten()
        else {
            say!("{}: process {pid} is not of this run; ignored", slot.service.name);
            return;
        };
        let _ = watch(&self.epoll, &pidfd, PIDFDS + at as u64);
        process.pid = pid;
        process.pidfd = Some(pidfd);
        process.is_adopted = true;
        self.changed = true;
    }
}
