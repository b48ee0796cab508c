//! init's end of the channel: the plan and the probes' verdicts come in, snapshots go out.

use std::os::fd::OwnedFd;

use holdfast_supervisor::channel::{
    self, Control, Failure, MAX_TO_INIT_BYTES, ToAgent, ToInit, Verdict,
};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::Event;
use holdfast_supervisor::plan::{Plan, Service, text};
use holdfast_supervisor::snapshot::{Boot, Mode, PlanSource, ServiceView, Snapshot, Starved};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Signal;

use super::{AGENT, MAIN, Supervisor};
use crate::console::say;
use crate::finish::End;
use crate::heart::Heart;
use crate::log::outlet::is_writable;
use crate::metal::{Machine, Network, Slots};
use crate::sys::heap;

/// An agent that does not read is told again after this long.
const PUSH_AGAIN_MS: Ms = 500;
const MESSAGES_PER_TURN: usize = 8;

pub(crate) struct Channel {
    socket: OwnedFd,
    push_again_at: Option<Ms>,
    /// The log waits for room.
    wants_room: bool,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, push_again_at: None, wants_room: false }
    }
}

impl Supervisor {
    pub(super) fn push_again_at(&self) -> Option<Ms> {
        self.channel.as_ref()?.push_again_at
    }

    pub(super) fn push_snapshot(&mut self) {
        let due = self.push_again_at().is_some_and(|at| at <= now_ms());
        if !self.changed && !due {
            return;
        }
        let Some(bytes) = ToAgent::Snapshot(self.snapshot()).encode() else { return };
        let Some(channel) = &mut self.channel else { return };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        channel.push_again_at = match rustix::net::send(&channel.socket, &bytes, flags) {
            Err(Errno::AGAIN) => Some(now_ms() + PUSH_AGAIN_MS),
            _ => None,
        };
        self.changed = false;
    }

    /// The log takes a quarter of the socket's room, which is what poll calls writable, so that a
    /// snapshot always finds some.
    pub(super) fn push_logs(&mut self) {
        let Some(channel) = &mut self.channel else { return };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let wants_room = self.logs.push(|message| {
            let bytes = message.encode().unwrap_or_default();
            is_writable(&channel.socket)
                && rustix::net::send(&channel.socket, &bytes, flags).is_ok()
        });
        if wants_room != channel.wants_room {
            channel.wants_room = wants_room;
            let room = if wants_room { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(super::CHANNEL);
            let _ = epoll::modify(&self.epoll, &channel.socket, data, EventFlags::IN | room);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut services = heapless::Vec::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let view = ServiceView {
                name: slot.service.name.clone(),
                record: slot.record,
                pid: slot.pid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()),
                run: slot.run,
                pending_restart: slot.pending_restart,
                status: slot.status.clone(),
                log_dropped: self.logs.dropped(at),
            };
            // As many places as slots.
            let _ = services.push(view);
        }
        let heart = self.machine.heart.as_ref();
        Snapshot {
            mode: self.machine.mode,
            shutting_down: self.is_stopping(),
            plan: self.plan_source,
            degraded: self.machine.degraded,
            started_at: self.started_at,
            allocations: heap::allocations(),
            boot: heart.map_or(Boot::default(), |heart| heart.boot),
            watchdog_s: heart.map_or(0, Heart::timeout_s),
            starved: heart.map_or(Starved::No, |heart| heart.starved),
            slots: self.machine.slots.view.clone(),
            services,
        }
    }

    pub(super) fn read_channel(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(channel) = &self.channel else { return };
            let mut buffer = [0; MAX_TO_INIT_BYTES];
            match rustix::net::recv(&channel.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.channel = None,
                // What is longer than any message was cut, and is refused as such.
                Ok((len, whole)) if len == whole => self.hear(buffer.get(..len).unwrap_or(&[])),
                Ok(_) => say!("the agent sent a message that is too long; ignored"),
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => self.channel = None,
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        // An agent that speaks is up, and lives; nothing else asks it.
        self.feed(AGENT, Event::Ready);
        self.feed(AGENT, Event::Alive);
        match ToInit::decode(bytes) {
            Ok(ToInit::Plan(plan)) => self.accept(plan),
            Ok(ToInit::KeepPlan) => self.start_waiting_services(),
            Ok(ToInit::Probe { slot, run, verdict }) => self.judge(slot, run, verdict),
            Ok(ToInit::Signal { slot, number }) if cfg!(feature = "test-hooks") => {
                self.signal_for_test(slot, number);
            }
            Ok(ToInit::Fail(Failure::NoAgent)) if cfg!(feature = "test-hooks") => {
                self.lose_agent_for_test();
            }
            Ok(ToInit::Fail(failure)) if cfg!(feature = "test-hooks") => fail_for_test(failure),
            Ok(ToInit::Signal { .. } | ToInit::Fail(_)) => {
                say!("the agent asked for what only test builds do; ignored");
            }
            Ok(ToInit::Alive) => self.machine.heart.iter_mut().for_each(Heart::heard_agent),
            Ok(ToInit::Control { slot, what }) => self.control(usize::from(slot), what),
            Ok(ToInit::Lease(lease)) => self.change_network(|network| network.lease(lease)),
            Ok(ToInit::NoLease) => self.change_network(Network::no_lease),
            Ok(ToInit::LinkUp { device }) => {
                self.change_network(|network| network.link_up(&device))
            }
            Ok(ToInit::StepClock { unix_ms }) => self.set_clock(|m| m.step_clock(unix_ms)),
            Ok(ToInit::SlewClock { offset_us }) => self.set_clock(|m| m.slew_clock(offset_us)),
            Ok(ToInit::End(end)) => self.end(end),
            Ok(ToInit::TryOtherSlot) => self.change_slots(Slots::try_other),
            Ok(ToInit::KeepSlot) => self.change_slots(Slots::keep),
            Err(malformed) => say!("the agent sent nonsense: {}; ignored", malformed.0),
        }
    }

    fn change_network(&mut self, change: impl FnOnce(&mut Network)) {
        self.machine.change_network(change);
        self.changed = true;
    }

    fn set_clock(&mut self, set: impl FnOnce(&mut Machine)) {
        set(&mut self.machine);
        self.changed = true;
    }

    fn change_slots(&mut self, change: impl FnOnce(&mut Slots)) {
        if !self.is_stopping() {
            change(&mut self.machine.slots);
            self.changed = true;
        }
    }

    /// The agent itself is no service of anybody's.
    fn control(&mut self, at: usize, what: Control) {
        if at < MAIN || self.is_stopping() {
            return;
        }
        if let (Some(slot), true) = (self.slots.get_mut(at), what != Control::Reload) {
            slot.stopped_by_hand = what == Control::Stop;
        }
        match what {
            Control::Start => self.feed(at, Event::Start),
            Control::Stop => self.feed(at, Event::Stop),
            Control::Restart => self.feed(at, Event::Restart),
            Control::Reload => self.signal(at, Signal::HUP),
        }
    }

    /// A container only ever exits.
    fn end(&mut self, end: channel::End) {
        let on_metal = self.machine.mode == Mode::Metal;
        self.stop(match end {
            _ if !on_metal => End::Exit(0),
            channel::End::Reboot => End::Reboot,
            channel::End::FactoryReset => End::FactoryReset,
            channel::End::PowerOff => End::PowerOff,
        });
    }

    fn start_waiting_services(&mut self) {
        if self.plan_due.is_some() {
            self.start_services();
        }
    }

    /// Limits and policy hold at once; arguments and user with the service's next process.
    fn accept(&mut self, plan: Plan) {
        if !same_services(&plan, &self.plan) {
            say!("the agent's plan has other services than this init runs; ignored");
            return;
        }
        self.plan_source = PlanSource::Agent;
        self.changed = true;
        for (at, service) in plan.services.iter().enumerate() {
            self.apply(MAIN + at, service);
        }
        self.machine.apply_network(&plan);
        if let Some(heart) = &mut self.machine.heart {
            heart.set_timeout(plan.watchdog_s);
        }
        self.plan = plan;
        self.start_waiting_services();
    }

    fn apply(&mut self, at: usize, service: &Service) {
        let of_command = self.launch.command.is_some() && at == MAIN;
        let Some(slot) = self.slots.get_mut(at) else { return };
        let old = &slot.service;
        let launched_otherwise = (old.uid, old.gid) != (service.uid, service.gid)
            || old.sandbox != service.sandbox
            || (!of_command && (old.program != service.program || old.args != service.args));
        slot.pending_restart |= launched_otherwise && slot.process.is_some();
        slot.service = service.clone();
        let group = slot.process.as_ref().and_then(|process| process.group.as_ref());
        if let (Some(cgroups), Some(group)) = (&self.cgroups, group) {
            cgroups.limit(group, &service.limits);
        }
    }

    /// Only about the process that runs now: a late verdict is about a dead one.
    fn judge(&mut self, slot: u8, run: u32, verdict: Verdict) {
        let at = usize::from(slot);
        let current = self.slots.get(at).is_some_and(|slot| slot.run == run);
        if current && !self.is_stopping() {
            self.feed(
                at,
                match verdict {
                    Verdict::Ready => Event::Ready,
                    Verdict::NotReady => Event::NotReady,
                    Verdict::Hung => Event::Hung,
                },
            );
        }
    }

    fn lose_agent_for_test(&mut self) {
        if let Some(agent) = self.slots.get_mut(AGENT) {
            agent.service.program = text("/nonexistent");
        }
        self.signal(AGENT, Signal::KILL);
    }

    fn signal_for_test(&self, slot: u8, number: u8) {
        if let Some(signal) = Signal::from_named_raw(i32::from(number)) {
            self.signal(usize::from(slot), signal);
        }
    }
}

fn same_services(one: &Plan, other: &Plan) -> bool {
    let names = one.services.iter().map(|service| &service.name);
    names.eq(other.services.iter().map(|service| &service.name))
}

/// How PID 1 fails is itself under test.
fn fail_for_test(failure: Failure) {
    match failure {
        Failure::Panic => panic!("a test asked for it"),
        Failure::Allocate => drop(std::hint::black_box(Box::new(failure))),
        Failure::Spin => loop {
            std::hint::spin_loop();
        },
        Failure::Fault => drop(overflow(1)),
        Failure::NoAgent => {}
    }
}

/// The end of the stack is the one bad access that safe code can make.
#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 512]);
    overflow(depth + 1) + page.iter().sum::<u64>()
}
