//! The loop: descriptors become events, events go through the state machine, actions become
//! processes and signals.
//!
//! Everything that can happen arrives on one epoll: signals (signalfd), ends of services (pidfd),
//! time (timerfd), the agent's messages (seqpacket). Nothing in here waits for anything else, but for
//! a moment in a storm of ends.

mod beat;
mod notices;
mod report;
mod runs;
pub(crate) mod silence;
mod spawn;
mod stop;
mod storm;
mod talk;

use std::os::fd::{AsFd, OwnedFd};

use heapless::Vec;
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::{Action, Event, step};
use holdfast_supervisor::plan::Plan;
use holdfast_supervisor::snapshot::{MAX_SLOTS, Mode, PlanSource};
use nix::sys::signalfd::SignalFd;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::cgroup::Cgroups;
use crate::console::{self, say};
use crate::finish::End;
use crate::launch::Launch;
use crate::log::Logs;
use crate::metal::Machine;
use crate::notify::NotifySocket;
use crate::reserve::Reserve;
use crate::service::Slot;
use crate::signals::{self, Burst, Meaning};
use crate::sys::heap;
use holdfast_supervisor::degraded::Degraded;
use stop::Phase;
use storm::Storm;
use talk::Channel;

/// The agent reads a file and speaks; without it the server starts by the built-in plan.
const PLAN_WAIT_MS: Ms = 2_000;
/// A trial that nobody confirms. The agent's own bound is shorter, and has a reason to tell.
const TRIAL_MS: Ms = 15 * 60_000;
const EVENTS_PER_TURN: usize = 16;
/// A timer that fires later than this found PID 1 stopped, paused or starved.
const PAUSED_MS: Ms = 500;

pub(crate) const AGENT: usize = 0;
pub(crate) const MAIN: usize = 1;

const SIGNALS: u64 = 0;
const TIMER: u64 = 1;
const CHANNEL: u64 = 2;
/// There is room on standard output or error again: passed on in this very turn.
const CONSOLE: u64 = 3;
/// Services speak.
const NOTICES: u64 = 4;
/// The power button.
const BUTTONS: u64 = 5;
const PIDFDS: u64 = 16;
const CGROUPS: u64 = 24;
const LOGS: u64 = 32;

pub(crate) struct Supervisor {
    machine: Machine,
    launch: Launch,
    cgroups: Option<Cgroups>,
    slots: Vec<Slot, MAX_SLOTS>,
    plan: Plan,
    plan_source: PlanSource,
    /// Services wait for the agent's first plan until then.
    plan_due: Option<Ms>,
    channel: Option<Channel>,
    phase: Phase,
    started_at: Ms,
    burst: Burst,
    storm: Storm,
    /// A change the agent has not been told.
    changed: bool,
    logs: Logs,
    notify: Option<NotifySocket>,
    /// The machine's, for the agent to read what is typed there.
    console: Option<OwnedFd>,
    reserve: Reserve,
    /// Notices of who is no service.
    strangers: u64,
    epoll: OwnedFd,
    signals: SignalFd,
    timer: OwnedFd,
}

/// Runs until the machine or container ends.
pub(crate) fn run(machine: Machine, launch: Launch) -> ! {
    match Supervisor::new(machine, launch) {
        Ok(mut supervisor) => supervisor.run(),
        // Without these three descriptors there is nothing to supervise with.
        Err(errno) => panic!("epoll, signalfd or timerfd: {errno}"),
    }
}

impl Supervisor {
    fn new(mut machine: Machine, launch: Launch) -> Result<Self, Errno> {
        let signals = signals::open()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        watch(&epoll, &signals, SIGNALS)?;
        watch(&epoll, &timer, TIMER)?;
        for button in &machine.buttons {
            watch(&epoll, button, BUTTONS)?;
        }
        let cgroups = Cgroups::open();
        machine.note(cgroups.is_some(), Degraded::NoCgroups);
        let complete = cgroups.as_ref().is_none_or(|cgroups| cgroups.complete);
        machine.note(complete, Degraded::PartialCgroups);
        for (is_there, otherwise) in launch.missing_sandbox() {
            machine.note(is_there, otherwise);
        }
        let plan = Plan::built_in();
        let mut slots = Vec::new();
        for service in core::iter::once(launch.agent()).chain(plan.services.iter().cloned()) {
            // MAX_SLOTS is the plan's bound and the agent.
            let _ = slots.push(Slot::new(service));
        }
        let notify = NotifySocket::open().ok();
        if let Some(notify) = &notify {
            watch(&epoll, notify.socket(), NOTICES)?;
        }
        let logs = Logs::open(&epoll, slots.len(), LOGS);
        let console = (machine.mode == Mode::Metal).then(console::open_for_agent).flatten();
        Ok(Self {
            machine,
            launch,
            cgroups,
            slots,
            plan,
            plan_source: PlanSource::BuiltIn,
            plan_due: None,
            channel: None,
            phase: Phase::Running,
            started_at: now_ms(),
            burst: Burst::default(),
            storm: Storm::default(),
            changed: true,
            logs,
            notify,
            console,
            reserve: Reserve::default(),
            strangers: 0,
            epoll,
            signals,
            timer,
        })
    }

    fn run(&mut self) -> ! {
        self.machine.say_degraded();
        self.start();
        heap::seal();
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; EVENTS_PER_TURN];
        let mut more = true;
        loop {
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let due = self.arm_timer();
            let timeout = more.then_some(&at_once);
            let count = epoll::wait(&self.epoll, &mut events[..], timeout).unwrap_or(0);
            self.forgive_silence(due);
            for event in events.iter().take(count) {
                self.receive(event.data.u64());
            }
            let held = !more && self.storm.holds(self.killed_trees_live(), now_ms());
            let reaped = if held { self.reap_services() } else { self.reap() };
            more = reaped == runs::REAPS_PER_TURN;
            self.reserve.fill();
            self.tick();
            self.go_on_stopping();
            self.beat();
            self.pass_on_logs();
            self.push_snapshot();
            self.push_logs();
            // What woke it is one that ended, reaped or not.
            let ended = if held { reaped.max(1) } else { reaped };
            if self.storm.goes_on(ended, now_ms()) && !more {
                self.pause();
            }
        }
    }

    fn pass_on_logs(&mut self) {
        let now = now_ms();
        self.logs.relay(&self.epoll, CONSOLE, now);
        if self.logs.has_news(now) {
            self.changed = true;
            self.machine.degrade(Degraded::LogsDropped);
        }
    }

    /// Services wait for the agent's plan, but not long. A command of somebody else's needs none.
    fn start(&mut self) {
        if self.launch.is_foreign() {
            return self.start_services();
        }
        self.plan_due = Some(now_ms() + PLAN_WAIT_MS);
        self.feed(AGENT, Event::Start);
    }

    fn start_services(&mut self) {
        self.plan_due = None;
        for at in MAIN..self.slots.len() {
            self.feed(at, Event::Start);
        }
    }

    fn receive(&mut self, token: u64) {
        match token {
            SIGNALS => self.read_signals(),
            TIMER => self.clear_timer(),
            CHANNEL => self.read_channel(),
            BUTTONS => self.read_buttons(),
            NOTICES => self.read_notices(),
            token @ PIDFDS..CGROUPS => self.look_at_adopted((token - PIDFDS) as usize),
            token @ LOGS.. => {
                self.logs.receive((token - LOGS) as usize, &self.epoll, LOGS, now_ms());
            }
            // A cgroup: whether it is empty is looked at in every turn.
            _ => {}
        }
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match signals::meaning(info.ssi_signo, self.machine.mode, &mut self.burst) {
                Meaning::ChildEnded => {}
                Meaning::Finish(end) => self.stop(end),
                Meaning::FinishNow(end) => self.machine.finish(end),
                Meaning::Reload => self.signal(AGENT, Signal::HUP),
                Meaning::SayState => self.say_state(),
                Meaning::PassOn(number) => self.pass_on(number),
            }
        }
    }

    fn pass_on(&mut self, number: i32) {
        if let (true, Some(signal)) = (self.launch.is_foreign(), Signal::from_named_raw(number)) {
            self.signal(MAIN, signal);
        }
    }

    /// One event for one service, and what follows from it.
    fn feed(&mut self, at: usize, event: Event) {
        let now = now_ms();
        let Some(slot) = self.slots.get_mut(at) else { return };
        let policy = self.launch.policy(&slot.service, at == AGENT);
        let before = slot.record;
        let (after, action) = step(&before, event, now, &policy);
        slot.record = after;
        if !after.state.comes_back() {
            // Connections are refused then, not queued.
            slot.held.clear();
        }
        if !after.looks_like(&before) {
            self.changed = true;
            report::change(&slot.service.name, &before, &after, now);
        }
        self.leave_behind(at);
        match action {
            Some(Action::Spawn) => self.spawn(at),
            Some(Action::Terminate) => self.signal(at, Signal::TERM),
            Some(Action::Abort) => self.signal(at, Signal::ABORT),
            Some(Action::Kill) => self.kill_tree(at),
            None => {}
        }
        self.end_with_main(at);
    }

    fn signal(&self, at: usize, signal: Signal) {
        let Some(process) = self.slots.get(at).and_then(|slot| slot.process.as_ref()) else {
            return;
        };
        let _ = match &process.pidfd {
            Some(pidfd) => rustix::process::pidfd_send_signal(pidfd, signal),
            // Ours and not reaped: the number cannot have been given to another process.
            None => rustix::process::kill_process(process.pid, signal),
        };
    }

    fn tick(&mut self) {
        let now = now_ms();
        self.logs.tick(&self.epoll, LOGS, now);
        for at in 0..self.slots.len() {
            let due = self.slots.get(at).and_then(|slot| slot.record.deadline());
            if due.is_some_and(|due| due <= now) && !self.is_excused(at, now) {
                self.feed(at, Event::Tick);
            }
        }
        if self.plan_due.is_some_and(|due| due <= now) {
            say!("the agent has not spoken; starting by the built-in plan");
            self.start_services();
        }
        if self.trial_due().is_some_and(|due| due <= now) {
            console::last_words(format_args!("nobody has confirmed the trial of this version"));
            self.stop(End::Reboot);
        }
    }

    /// The slot that is on trial is left then.
    fn trial_due(&self) -> Option<Ms> {
        let is_on_trial = self.machine.slots.view.is_trial && !self.is_stopping();
        is_on_trial.then_some(self.started_at + TRIAL_MS)
    }

    /// Gives what is due next.
    fn arm_timer(&self) -> Option<Ms> {
        let services = self.slots.iter().filter_map(|slot| slot.record.deadline());
        let talk = [self.push_again_at(), self.logs.deadline(), self.storm.deadline()];
        let others =
            talk.into_iter().chain([self.plan_due, self.phase.deadline(), self.next_beat()]);
        let next = services.chain(others.flatten()).chain(self.trial_due()).min();
        let value = next.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, timespec);
        let when = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &when);
        next
    }

    /// Woken long after the time: this very process was paused, and services with it.
    fn forgive_silence(&mut self, due: Option<Ms>) {
        let now = now_ms();
        if due.is_some_and(|due| now > due + PAUSED_MS) {
            self.slots.iter_mut().for_each(|slot| slot.record.forgive_silence(now));
        }
    }

    fn clear_timer(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut count[..]);
    }
}

fn watch<Fd: AsFd>(epoll: &OwnedFd, fd: Fd, token: u64) -> Result<(), Errno> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
}

/// An instant of zero would disarm the timer; one millisecond after boot is as good.
fn timespec(at: Ms) -> Timespec {
    let at = at.max(1);
    Timespec { tv_sec: (at / 1000) as i64, tv_nsec: (at % 1000 * 1_000_000) as i64 }
}
