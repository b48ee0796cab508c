//! Making a bare machine usable, before any service runs: what a container gets from its runtime.
//!
//! Nothing here is fatal. What cannot be had is said once, shown by `status`, and done without.

mod blank;
mod boot;
pub(crate) mod button;
pub(crate) mod clock;
mod data;
mod discipline;
mod fsck;
mod gpt;
mod modules;
mod mounts;
mod netlink;
mod network;
mod partition;
pub(crate) mod reset;
pub(crate) mod seed;
mod slots;

use holdfast_supervisor::cmdline;
use holdfast_supervisor::degraded::{Degraded, DegradedSet};
use holdfast_supervisor::paths;
use holdfast_supervisor::plan::Plan;
use holdfast_supervisor::record::Record;
use holdfast_supervisor::snapshot::Mode;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::CapabilitySet;

use crate::console::{self, say};
use crate::finish::{self, End};
use crate::heart::{self, Heart};
use crate::keeper;
use crate::launch;
use crate::watchdog::{self, Watchdog};
use button::Buttons;
use data::Data;
pub(crate) use network::Network;
pub(crate) use slots::Slots;

/// Of one process.
const MAX_DESCRIPTORS: u64 = 65_536;

/// What start-up found out.
pub(crate) struct Machine {
    pub mode: Mode,
    pub degraded: DegradedSet,
    pub cmdline: String,
    /// What keeps a machine going; a container has none of its own.
    pub heart: Option<Heart>,
    pub buttons: Buttons,
    pub slots: Slots,
    network: Network,
}

pub(crate) fn start() -> Machine {
    let mounted = mounts::mount_all();
    console::reopen();
    let cmdline = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let fixed_s = cmdline::value(&cmdline, "holdfast.watchdog").and_then(|word| word.parse().ok());
    let timeout_s = fixed_s.filter(|seconds| *seconds > 0).unwrap_or(watchdog::DEFAULT_S);
    let built_in = Watchdog::open(timeout_s);
    let mut machine = Machine::new(Mode::Metal, cmdline);
    machine.degraded.insert(Degraded::ClockUnset);
    machine.note(mounted, Degraded::Mounts);
    machine.note(modules::load_all(paths::MODULES), Degraded::Modules);
    let watchdog = built_in.or_else(|| Watchdog::open(timeout_s));
    machine.note(watchdog.is_some(), Degraded::NoWatchdog);
    raise_descriptor_limit();
    machine.network = Network::from_cmdline(&machine.cmdline);
    let hint = cmdline::data_hint(&machine.cmdline);
    let data = data::mount(hint, &mut || watchdog.iter().for_each(Watchdog::feed));
    machine.note(data.persistent, Degraded::VolatileData);
    machine.note(!data.unsound, Degraded::DataUnsound);
    machine.buttons = button::open_all();
    machine.slots = slots::find();
    machine.start_heart(data, watchdog, fixed_s);
    machine
}

impl Machine {
    fn new(mode: Mode, cmdline: String) -> Self {
        let degraded = DegradedSet::default();
        Self {
            mode,
            degraded,
            cmdline,
            heart: None,
            buttons: Buttons::new(),
            slots: Slots::default(),
            network: Network::none(),
        }
    }

    /// What the data partition knows of the past, and the beginning of this run.
    fn start_heart(&mut self, data: Data, watchdog: Option<Watchdog>, fixed_s: Option<u16>) {
        let by_watchdog = watchdog.as_ref().is_some_and(|dog| dog.caused_the_last_reset);
        let opened = if data.persistent { open_record() } else { None };
        let has_record = opened.is_some();
        let past = boot::begin(opened.flatten(), by_watchdog, data.had_errors);
        clock::raise_to(past.recorded_ms);
        keeper::write_start();
        if has_record {
            seed::carry();
        }
        let mut heart = Heart::new(watchdog, fixed_s, has_record, data.had_errors, past.boot);
        if past.bad_ends >= heart::MAX_BAD_ENDS {
            self.degraded.insert(Degraded::SafeMode);
            heart.trust_loop_only();
        }
        self.heart = Some(heart);
    }

    /// Does not return.
    pub(crate) fn finish(&mut self, end: End) -> ! {
        if let Some(heart) = &mut self.heart {
            heart.prepare_end();
        }
        finish::finish(end, self.mode)
    }

    /// Everything is there already, or is not and stays away.
    pub(crate) fn container() -> Self {
        let mut machine = Self::new(Mode::Container, String::new());
        let root = rustix::process::geteuid().is_root();
        let may_drop = !root || (user_is_mapped(paths::SERVICE_UID) && may_change_user());
        machine.note(may_drop, Degraded::NoPrivilegeDrop);
        let pid1 = rustix::process::getpid().is_init();
        if !pid1 {
            let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        }
        machine.note(pid1, Degraded::NotPid1);
        machine.note(std::path::Path::new(paths::DATA).is_dir(), Degraded::NoDataDirectory);
        if root && may_drop {
            data::give_to_service(paths::DATA);
        }
        machine
    }

    /// Learned while starting: said with the others.
    pub(crate) fn note(&mut self, good: bool, otherwise: Degraded) {
        if !good {
            self.degraded.insert(otherwise);
        }
    }

    /// Learned while running: said now.
    pub(crate) fn degrade(&mut self, degraded: Degraded) {
        if self.degraded.insert(degraded) {
            say!("degraded: {} ({})", degraded.text(), degraded.code());
        }
    }

    /// All that start-up found, in one go; but not what every start-up finds.
    pub(crate) fn say_degraded(&self) {
        for degraded in self.degraded.iter().filter(|each| *each != Degraded::ClockUnset) {
            say!("degraded: {} ({})", degraded.text(), degraded.code());
        }
    }

    /// The plan's host name and address, where the kernel command line gave none.
    pub(crate) fn apply_network(&mut self, plan: &Plan) {
        self.change_network(|network| network.accept(plan));
    }

    /// What the agent has found out, or has seen appear.
    pub(crate) fn change_network(&mut self, change: impl FnOnce(&mut Network)) {
        if self.mode != Mode::Metal {
            return;
        }
        change(&mut self.network);
        // Nobody has answered yet: that takes a while, and is no news until then.
        if self.network.waits_for_lease() {
            self.degraded.insert(Degraded::NoLease);
        } else {
            self.degraded.remove(Degraded::NoLease);
        }
        if self.network.is_settled() || self.network.waits_for_lease() {
            self.degraded.remove(Degraded::NoNetwork);
        } else {
            self.degrade(Degraded::NoNetwork);
        }
    }
}

impl Machine {
    /// As the agent's time servers say; in a container the clock is the host's.
    pub(crate) fn step_clock(&mut self, unix_ms: u64) {
        if self.mode == Mode::Metal && discipline::step(unix_ms) {
            self.degraded.remove(Degraded::ClockUnset);
        }
    }

    pub(crate) fn slew_clock(&mut self, offset_us: i64) {
        if self.mode == Mode::Metal && discipline::slew(offset_us) {
            self.degraded.remove(Degraded::ClockUnset);
        }
    }
}

/// The record on the data partition; the inner nothing is a partition that never had one.
fn open_record() -> Option<Option<Record>> {
    let opened = keeper::make_state_folder().and_then(|()| keeper::open());
    opened.map_err(|error| say!("cannot keep a boot record: {error}")).ok()
}

/// The kernel's 4096 are fewer than the clients a server may have; services inherit this.
fn raise_descriptor_limit() {
    let limit = Rlimit { current: Some(MAX_DESCRIPTORS), maximum: Some(MAX_DESCRIPTORS) };
    if let Err(errno) = setrlimit(Resource::Nofile, limit) {
        say!("cannot raise the limit of open files: {errno}");
    }
}

/// Not after `docker run --cap-drop ALL`: then services have nothing to lose but the user's number.
fn may_change_user() -> bool {
    launch::may(CapabilitySet::SETUID.union(CapabilitySet::SETGID))
}

/// In a user namespace only some users exist.
fn user_is_mapped(uid: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (fields.next(), fields.next(), fields.next());
        let range = first.unwrap_or(0)..first.unwrap_or(0) + count.unwrap_or(0);
        range.contains(&u64::from(uid))
    })
}
