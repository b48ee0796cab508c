//! Starting a service: its words, its cgroup, its child.

use core::fmt::{self, Arguments, Display, Formatter, Write};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use heapless::String;
use holdfast_supervisor::machine::{Event, Exit, SpawnStep};
use holdfast_supervisor::plan::Args;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::talk::Channel;
use super::{AGENT, CHANNEL, MAIN, PIDFDS, Supervisor, watch};
use crate::cgroup::{self, Group};
use crate::console::say;
use crate::held::{Held, MAX_HELD};
use crate::service::Process;
use crate::sys::child::{self, Child, Spawned};
use holdfast_supervisor::degraded::Degraded;

const PROGRAM_BYTES: usize = 65;
/// The longest lists a name of 64 bytes for each held descriptor.
const MAX_VARIABLE_BYTES: usize = 16 + MAX_HELD * 65;

impl Supervisor {
    pub(super) fn spawn(&mut self, at: usize) {
        self.reserve.give_up();
        let started = self.try_spawn(at);
        self.reserve.fill();
        if let Err((step, errno)) = started {
            let errno = errno.raw_os_error() as u16;
            self.feed(at, Event::Exited(Exit::Spawn { step, errno }));
            self.look_whether_cleared(at);
        }
    }

    fn try_spawn(&mut self, at: usize) -> Result<(), (SpawnStep, Errno)> {
        let group = self.fresh_group(at);
        let channel = match at {
            AGENT => Some(self.open_channel().map_err(|errno| (SpawnStep::Prepare, errno))?),
            _ => None,
        };
        let new_session = !self.launch.is_foreign();
        let spawned = self.clone_child(at, group.as_ref(), channel.as_ref(), new_session);
        let spawned = spawned.map_err(|errno| (SpawnStep::Clone, errno))?;
        self.note_fallback(&spawned, group.is_some());
        if let Some(pidfd) = &spawned.pidfd {
            // Without it the end is still seen by SIGCHLD.
            let _ = watch(&self.epoll, pidfd, PIDFDS + at as u64);
        }
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        slot.pending_restart = false;
        slot.process = Some(Process {
            pid: spawned.pid,
            pidfd: spawned.pidfd,
            group,
            oom_kills_before: cgroup::container_oom_kills(),
            failure: spawned.failure,
            session: new_session.then_some(spawned.pid),
            is_adopted: false,
        });
        Ok(())
    }

    fn clone_child(
        &self,
        at: usize,
        group: Option<&Group>,
        channel: Option<&OwnedFd>,
        new_session: bool,
    ) -> Result<Spawned, Errno> {
        let slot = self.slots.get(at).ok_or(Errno::INVAL)?;
        let service = &slot.service;
        let main = at == MAIN;
        let mut buffer = [0; PROGRAM_BYTES];
        let program = match self.launch.command.as_ref().filter(|_| main) {
            Some(command) => command.program,
            None => c_string(&service.program, &mut buffer)?,
        };
        let argv = self.launch.argv(service, program, main).ok_or(Errno::TOOBIG)?;
        let variables = self.variables(at).ok_or(Errno::TOOBIG)?;
        let held = if at == AGENT { Default::default() } else { slot.held.descriptors() };
        child::spawn(&Child {
            program,
            argv: &argv,
            environment: self.launch.environment(channel.is_some()),
            directory: self.launch.directory,
            user: self.launch.user(service, at == AGENT),
            sandbox: self.launch.sandbox(service, at == AGENT),
            oom_score_adj: self.launch.oom_score_adj(at == AGENT),
            descriptors: self.launch.descriptors(at == AGENT),
            new_session,
            channel: channel.map(AsFd::as_fd),
            // A foreign command has its terminal, or whatever the container was given.
            output: self.logs.writer(at).filter(|_| new_session),
            console: self.console.as_ref().filter(|_| at == AGENT).map(AsFd::as_fd),
            variables: &variables,
            held: &held,
            cgroup: group.map(Group::as_fd),
        })
    }

    /// The words of sd_notify(3) and sd_listen_fds(3); a foreign command keeps those it was given.
    fn variables(&self, at: usize) -> Option<Args> {
        let mut variables = Args::new();
        let slot = self.slots.get(at)?;
        let notify = self.notify.as_ref().filter(|_| at != AGENT && !self.launch.is_foreign());
        let Some(notify) = notify else { return Some(variables) };
        let mut add = |words: Arguments| {
            let mut text = String::<MAX_VARIABLE_BYTES>::new();
            text.write_fmt(words).ok()?;
            variables.push(text.as_bytes()).ok()
        };
        add(format_args!("NOTIFY_SOCKET={}", notify.name()))?;
        let silence_ms = slot.service.policy.watchdog_ms;
        if silence_ms != 0 {
            add(format_args!("WATCHDOG_USEC={}", u64::from(silence_ms) * 1000))?;
        }
        if !slot.held.is_empty() {
            add(format_args!("LISTEN_FDS={}", slot.held.names().count()))?;
            add(format_args!("LISTEN_FDNAMES={}", Names(&slot.held)))?;
        }
        Some(variables)
    }

    fn fresh_group(&mut self, at: usize) -> Option<Group> {
        let slot = self.slots.get_mut(at)?;
        slot.run = slot.run.wrapping_add(1);
        let cgroups = self.cgroups.as_mut()?;
        match cgroups.fresh(&slot.service.name, slot.run, &slot.service.limits) {
            Ok(group) => Some(group),
            Err(errno) => {
                say!("{}: no cgroup for this run: {errno}", slot.service.name);
                self.machine.degrade(Degraded::NoCgroups);
                None
            }
        }
    }

    fn note_fallback(&mut self, spawned: &Spawned, in_cgroup: bool) {
        if spawned.fell_back && in_cgroup {
            self.machine.degrade(Degraded::NoClone3);
        }
    }

    /// A new pair per run, so that nothing of an older agent is left in it. Gives the agent's end.
    fn open_channel(&mut self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        watch(&self.epoll, &ours, CHANNEL)?;
        self.channel = Some(Channel::new(ours));
        self.logs.begin_anew();
        self.changed = true;
        Ok(theirs)
    }
}

/// Separated by colons.
struct Names<'a>(&'a Held);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        for (at, name) in self.0.names().enumerate() {
            write!(f, "{}{name}", if at > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

fn c_string<'a>(text: &str, buffer: &'a mut [u8; PROGRAM_BYTES]) -> Result<&'a CStr, Errno> {
    let place = buffer.get_mut(..text.len()).ok_or(Errno::NAMETOOLONG)?;
    place.copy_from_slice(text.as_bytes());
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::NAMETOOLONG)
}
