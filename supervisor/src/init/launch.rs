//! With which words and variables services are started; all of it collected before the heap is sealed.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;

use heapless::Vec;
use holdfast_supervisor::cmdline;
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::machine::{Policy, Restart};
use holdfast_supervisor::paths::{self, ADMIN_ENV, CHANNEL_ENV, CHANNEL_VALUE};
use holdfast_supervisor::plan::{Limits, Memory, Service, text};
use holdfast_supervisor::snapshot::Mode;
use rustix::thread::CapabilitySet;

use crate::arguments::{self, Command};
use crate::console;
use crate::meeting_place;
use crate::metal::Machine;
use crate::sandbox::{Sandbox, Sandboxes};
use crate::sys::child::{MAX_WORDS, User};
use crate::sys::process::{Environment, environment, keep};

/// Until its first word. It reads one file before, on a machine that is busy starting.
const AGENT_STARTUP_MS: u32 = 30_000;
/// Bytes that the agent may have, and that are not reclaimed from it.
const AGENT_MEMORY_MAX: u64 = 32 << 20;
const AGENT_MEMORY_MIN: u64 = 4 << 20;
/// It does little, but its probes decide: they must not wait for a busy server.
const AGENT_CPU_WEIGHT: u16 = 1_000;
/// How far the kernel spares the agent when the machine has no memory left: a service goes first.
const AGENT_OOM_SCORE_ADJ: i16 = -900;
/// Far more than the few connections, files and sockets it ever has open.
const AGENT_DESCRIPTORS: u64 = 1_024;
/// DHCP's port, and one interface before it has an address.
const AGENT_CAPABILITIES: CapabilitySet =
    CapabilitySet::NET_BIND_SERVICE.union(CapabilitySet::NET_RAW);

/// Without a word; it says that it lives every second.
const AGENT_SILENCE_MS: u32 = 10_000;

pub(crate) type Words<'a> = Vec<&'a CStr, MAX_WORDS>;

pub(crate) struct Launch {
    /// What a container was told to run. It replaces the plan's arguments.
    pub command: Option<Command>,
    /// `holdfast.arg=` of the kernel command line, after everything else.
    tail: std::vec::Vec<&'static CStr>,
    environment: Environment,
    /// The same, and the word that tells the agent of its channel.
    environment_of_agent: Environment,
    pub directory: &'static CStr,
    /// Services change to the user of the plan; otherwise they stay what init is.
    pub drops_privileges: bool,
    /// init may take capabilities from its children for good.
    bounds_capabilities: bool,
    sandboxes: Sandboxes,
    /// init's own, which services other than the agent get.
    oom_score_adj: Option<i16>,
    mode: Mode,
}

impl Launch {
    pub(crate) fn new(mode: Mode, words: &[&'static CStr], machine: &Machine) -> Self {
        let (command, mut environment) = match mode {
            Mode::Container => (arguments::command(words), environment()),
            // The kernel makes arguments and variables of words it does not know.
            Mode::Metal => (None, metal_environment()),
        };
        if command.as_ref().is_some_and(|command| command.is_tool) {
            console::be_silent();
        }
        let has_data = !machine.degraded.contains(Degraded::NoDataDirectory);
        let keeps_data = has_data && !machine.degraded.contains(Degraded::VolatileData);
        add_server_defaults(&mut environment, mode, has_data, keeps_data);
        let channel = keep(format!("{CHANNEL_ENV}={CHANNEL_VALUE}").as_bytes());
        let tail = cmdline::values(&machine.cmdline, "holdfast.arg");
        let drops_privileges = !machine.degraded.contains(Degraded::NoPrivilegeDrop) && is_root();
        if command.as_ref().is_none_or(|command| command.is_server) {
            environment.retain(|variable| !is_for_init(variable));
            let admin = meeting_place::admin_socket(mode, drops_privileges);
            environment.push(keep(format!("{ADMIN_ENV}={admin}").as_bytes()));
        }
        let words = command.as_ref().map_or(&[][..], |command| &command.words);
        let sandboxes = Sandboxes::prepare(mode, words, machine.slots.other().as_deref());
        Self {
            sandboxes,
            bounds_capabilities: may(CapabilitySet::SETPCAP),
            oom_score_adj: spare_init(),
            tail: tail.map(|word| keep(word.as_bytes())).collect(),
            environment: Environment::new(&environment),
            environment_of_agent: Environment::new(&[&environment[..], &[channel]].concat()),
            directory: match &command {
                Some(command) if !command.is_server => working_directory(),
                _ if has_data => c"/data",
                _ => c"/",
            },
            command,
            drops_privileges,
            mode,
        }
    }

    /// The command is not the server: it runs once, unprobed, with its terminal.
    pub(crate) fn is_foreign(&self) -> bool {
        self.command.as_ref().is_some_and(|command| !command.is_server)
    }

    /// How the command ends is the runtime's business in a container, as long as it was an exit. The
    /// agent is init's own.
    pub(crate) fn policy(&self, service: &Service, is_agent: bool) -> Policy {
        let restart = match (self.is_foreign(), self.mode, service.policy.restart) {
            (_, _, restart) if is_agent => restart,
            (true, _, _) => Restart::Never,
            (_, Mode::Container, Restart::Always) => Restart::OnCrash,
            (_, _, restart) => restart,
        };
        Policy { restart, ..service.policy }
    }

    /// A foreign command keeps the user the container was given, as in the official image.
    pub(crate) fn user(&self, service: &Service, of_agent: bool) -> Option<User> {
        let on_metal = self.mode == Mode::Metal;
        let is_wanted = self.drops_privileges && !self.is_foreign() && service.uid != 0;
        is_wanted.then_some(User {
            uid: service.uid,
            gid: service.gid,
            group: (of_agent && on_metal).then_some(paths::SERVICE_GID),
            bounded: self.bounds_capabilities,
            capabilities: match (of_agent, on_metal) {
                (true, true) => AGENT_CAPABILITIES,
                _ => CapabilitySet::empty(),
            },
        })
    }

    /// A foreign command has the container's own.
    pub(crate) fn sandbox(&self, service: &Service, of_agent: bool) -> Option<&Sandbox> {
        let of = if of_agent { &self.sandboxes.agent } else { &self.sandboxes.server };
        (service.sandbox && !self.is_foreign()).then_some(of)
    }

    /// What no service here can be given, though its plan asks for it.
    pub(crate) fn missing_sandbox(&self) -> [(bool, Degraded); 2] {
        let sandbox = &self.sandboxes.server;
        [
            (sandbox.filters_calls(), Degraded::NoSeccomp),
            (sandbox.confines_files(), Degraded::NoLandlock),
        ]
    }

    pub(crate) fn oom_score_adj(&self, of_agent: bool) -> Option<i16> {
        if of_agent { self.oom_score_adj.map(|_| AGENT_OOM_SCORE_ADJ) } else { self.oom_score_adj }
    }

    pub(crate) fn descriptors(&self, of_agent: bool) -> Option<u64> {
        of_agent.then_some(AGENT_DESCRIPTORS)
    }

    /// `None` when there are more words than fit.
    pub(crate) fn argv<'a>(
        &'a self,
        service: &'a Service,
        program: &'a CStr,
        main: bool,
    ) -> Option<Words<'a>> {
        let mut words = Words::new();
        match self.command.as_ref().filter(|_| main) {
            Some(command) => words.extend_from_slice(&command.words).ok()?,
            None => {
                words.push(program).ok()?;
                for word in service.args.c_words() {
                    words.push(word).ok()?;
                }
            }
        }
        if main && !self.is_foreign() {
            words.extend_from_slice(&self.tail).ok()?;
        }
        Some(words)
    }

    pub(crate) fn environment(&self, of_agent: bool) -> &Environment {
        if of_agent { &self.environment_of_agent } else { &self.environment }
    }

    /// The agent is not in the plan: it is who brings the plan.
    pub(crate) fn agent(&self) -> Service {
        let mut agent = Service::server();
        agent.name = text("agent");
        agent.program = text(paths::AGENT);
        // One short word fits.
        let _ = agent.args.push(b"run");
        if self.mode == Mode::Metal {
            (agent.uid, agent.gid) = (paths::AGENT_UID, paths::AGENT_GID);
        }
        agent.policy = Policy {
            restart: Restart::Always,
            backoff_initial_ms: 100,
            backoff_max_ms: 10_000,
            good_run_ms: 5_000,
            start_limit: 0,
            stop_grace_ms: 1_000,
            startup_ms: AGENT_STARTUP_MS,
            watchdog_ms: AGENT_SILENCE_MS,
            permanent_exits: [0; 8],
        };
        agent.limits = Limits {
            memory_max: Memory::Bytes(AGENT_MEMORY_MAX),
            memory_min: Memory::Bytes(AGENT_MEMORY_MIN),
            cpu_weight: AGENT_CPU_WEIGHT,
            pids_max: 32,
            ..agent.limits
        };
        agent
    }
}

/// What a manager above told this very process, which is not the service's to answer.
fn is_for_init(variable: &CStr) -> bool {
    const NAMES: [&[u8]; 6] = [
        b"NOTIFY_SOCKET=",
        b"WATCHDOG_USEC=",
        b"WATCHDOG_PID=",
        b"LISTEN_PID=",
        b"LISTEN_FDS=",
        b"LISTEN_FDNAMES=",
    ];
    NAMES.iter().any(|name| variable.to_bytes().starts_with(name))
}

/// Directives that the server takes before its configuration file and its arguments, which
/// override them. A container's ports are published by hand, so it needs no protected mode. On metal
/// every change is logged, in a log that is kept short for the sake of small flash; where `/data` is
/// in memory, files in it would only take memory from the data.
fn add_server_defaults(
    environment: &mut std::vec::Vec<&'static CStr>,
    mode: Mode,
    has_data: bool,
    keeps_data: bool,
) {
    if environment.iter().any(|variable| variable.to_bytes().starts_with(b"HOLDFAST_DEFAULTS=")) {
        return;
    }
    environment.push(match (mode, has_data) {
        (Mode::Metal, _) if keeps_data => {
            c"HOLDFAST_DEFAULTS=dir /data\nsave ''\nappendonly yes\nauto-aof-rewrite-percentage 50\nauto-aof-rewrite-min-size 4mb"
        }
        (Mode::Metal, _) => c"HOLDFAST_DEFAULTS=dir /data\nsave ''",
        (Mode::Container, true) => c"HOLDFAST_DEFAULTS=protected-mode no\ndir /data",
        (Mode::Container, false) => c"HOLDFAST_DEFAULTS=protected-mode no",
    });
}

fn metal_environment() -> std::vec::Vec<&'static CStr> {
    vec![c"PATH=/usr/local/bin:/usr/bin:/usr/sbin", c"HOME=/", c"TERM=linux"]
}

/// Where files are that a command is given by relative paths.
fn working_directory() -> &'static CStr {
    std::env::current_dir().map_or(c"/", |folder| keep(folder.as_os_str().as_bytes()))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether init itself has this capability.
pub(crate) fn may(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// In a container PID 1 is a process like others when memory runs out. Gives what its services are to
/// go back to; `None` when it could not be changed, and then they keep what they inherit.
fn spare_init() -> Option<i16> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let given = std::fs::read_to_string(FILE).ok()?.trim().parse().ok()?;
    std::fs::write(FILE, "-999").ok().map(|()| given)
}
