//! `holdfast.toml`: strict, and every mistake reported at once with its line and column.
//!
//! The keys are listed once, in [`Config::read`]: reading a key, its default, its check and the
//! list of known keys in an error are the same line.

mod section;
pub(crate) mod tls;
mod value;

use std::net::SocketAddr;
use std::path::Path;

use holdfast_supervisor::control::MAX_CONFIG_BYTES;
use holdfast_supervisor::machine::{Policy, Restart};
use holdfast_supervisor::plan::{
    Ipv4, Limits, MIN_BACKOFF_MS, MIN_GOOD_RUN_MS, Name, Network, Plan, Service, StaticNetwork,
};

use crate::backup::Settings;
use crate::logs::Keep;
use crate::update;
use section::{Problems, Section};
use tls::Tls;

/// A bound below this is a slip of the unit.
const MIN_BOUND_MS: u32 = 100;
/// The server beats twice in this time unless a command takes longer, and one that is at work has ten
/// times as long: below a second an ordinary slow command would be taken for an endless one.
const MIN_WATCHDOG_MS: u32 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) plan: Plan,
    pub(crate) probe: Probe,
    pub(crate) status_listen: Option<SocketAddr>,
    pub(crate) logs: Keep,
    pub(crate) tls: Tls,
    /// `None`: DHCP's, or the usual ones. An empty list asks nobody.
    pub(crate) time_servers: Option<Vec<String>>,
    pub(crate) backup: Settings,
    pub(crate) update: update::Settings,
    /// Commands are taken from whoever is at the machine's console.
    pub(crate) console: bool,
}

/// How the server is asked whether it is well, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) target: Target,
    pub(crate) period_ms: u32,
    pub(crate) timeout_ms: u32,
    /// Failures in a row before a server that was never ready is killed.
    pub(crate) startup_failures: u32,
    /// Before a ready server is called unready.
    pub(crate) readiness_failures: u32,
    /// Before a server that was ready is called hung and killed.
    pub(crate) liveness_failures: u32,
    /// The same for a server that does not answer because it is at work.
    pub(crate) busy_failures: u32,
    /// It may press against its memory.high this long; 0: for ever.
    pub(crate) pressure_restart_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Wherever the server's process listens.
    Auto,
    Tcp(SocketAddr),
    Unix(std::path::PathBuf),
}

/// How the machine comes by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkMode {
    Dhcp,
    Static,
    Off,
}

/// One mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plan: Plan::built_in(),
            probe: Probe {
                target: Target::Auto,
                period_ms: 1_000,
                timeout_ms: 1_000,
                startup_failures: 300,
                readiness_failures: 1,
                liveness_failures: 3,
                busy_failures: 30,
                pressure_restart_ms: 60_000,
            },
            status_listen: None,
            logs: Keep::STANDARD,
            tls: Tls::default(),
            time_servers: None,
            backup: Settings::default(),
            update: update::Settings::STANDARD,
            console: false,
        }
    }
}

impl Config {
    /// A file that is not there is not a mistake: the defaults hold.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, Vec<Problem>> {
        let whole_file = |message| vec![Problem { line: 1, column: 1, message }];
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(file) if file.len() > MAX_CONFIG_BYTES.into() => {
                return Err(whole_file(format!(
                    "the file is longer than {MAX_CONFIG_BYTES} bytes"
                )));
            }
            // A pipe would be waited for.
            Ok(file) if !file.is_file() => {
                return Err(whole_file("this is no regular file".to_owned()));
            }
            _ => {}
        }
        let bytes = std::fs::read(path).map_err(|error| whole_file(format!("{error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| whole_file(format!("the file is not UTF-8: {error}")))?;
        Self::parse(&text).map(Some)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let problems = Problems::new(text);
        let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
        for error in &syntax {
            problems.add(error.span(), error.message().trim().replace('\n', "; "));
        }
        // After a syntax error the rest is guesswork, and would report mistakes nobody made.
        if syntax.is_empty() {
            let config = Self::read(Section::root(document.get_ref(), &problems));
            if problems.is_empty() {
                return Ok(config);
            }
        }
        Err(problems.sorted())
    }

    fn read(mut root: Section) -> Self {
        let standard = Self::default();
        let hostname = root.read("hostname", standard.plan.hostname.clone(), value::hostname);
        let (service, probe) = read_server(root.section("server"), &standard);
        let network = read_network(root.section("network"));
        let time_servers = read_time(root.section("time"));
        let status_listen = read_status(root.section("status"));
        let logs = read_logs(root.section("logs"));
        let tls = tls::read(root.section("tls"));
        let backup = read_backup(root.section("backup"));
        let update = read_update(root.section("update"));
        let console = read_console(root.section("console"));
        root.finish();
        let mut plan = Plan { hostname, network, ..standard.plan };
        plan.services.clear();
        // One is within the plan's bound.
        let _ = plan.services.push(service);
        Self { plan, probe, status_listen, logs, tls, time_servers, backup, update, console }
    }
}

fn read_server(mut server: Section, standard: &Config) -> (Service, Probe) {
    let default = Service::server();
    let service = Service {
        args: server.read("args", default.args.clone(), value::args),
        sandbox: server.read("sandbox", default.sandbox, value::switch),
        policy: Policy {
            stop_grace_ms: server.read(
                "stop_grace_ms",
                default.policy.stop_grace_ms,
                value::number(0..=600_000),
            ),
            startup_ms: server.read(
                "startup_ms",
                default.policy.startup_ms,
                value::bound_ms(MIN_BOUND_MS),
            ),
            watchdog_ms: server.read(
                "watchdog_ms",
                default.policy.watchdog_ms,
                value::bound_ms(MIN_WATCHDOG_MS),
            ),
            ..read_restart(server.section("restart"), default.policy)
        },
        limits: read_limits(server.section("limits"), default.limits),
        ..default
    };
    let probe = read_probe(&mut server, &standard.probe);
    server.finish();
    (service, probe)
}

fn read_restart(mut restart: Section, default: Policy) -> Policy {
    let hour = 3_600_000;
    let policy = Policy {
        restart: restart.read("when", Restart::Always, value::restart),
        backoff_initial_ms: restart.read(
            "backoff_initial_ms",
            default.backoff_initial_ms,
            value::number(MIN_BACKOFF_MS..=hour),
        ),
        backoff_max_ms: restart.read(
            "backoff_max_ms",
            default.backoff_max_ms,
            value::number(MIN_BACKOFF_MS..=hour),
        ),
        good_run_ms: restart.read(
            "good_run_ms",
            default.good_run_ms,
            value::number(MIN_GOOD_RUN_MS..=hour),
        ),
        permanent_exits: restart.read(
            "permanent_exits",
            default.permanent_exits,
            value::exit_codes,
        ),
        start_limit: restart.read("start_limit", default.start_limit, value::number(0..=10_000)),
        ..default
    };
    if policy.backoff_max_ms < policy.backoff_initial_ms {
        restart.wrong("backoff_max_ms", "is less than backoff_initial_ms");
    }
    restart.finish();
    policy
}

fn read_limits(mut limits: Section, default: Limits) -> Limits {
    let read = Limits {
        memory_max: limits.read("memory_max", default.memory_max, value::memory),
        memory_high: limits.read("memory_high", default.memory_high, value::memory),
        pids_max: limits.read("pids_max", default.pids_max, value::number(0..=4_000_000)),
        cpu_weight: limits.read("cpu_weight", default.cpu_weight, value::number(0..=10_000)),
        memory_min: limits.read("memory_min", default.memory_min, value::memory),
        cpu_max_percent: limits.read(
            "cpu_max_percent",
            default.cpu_max_percent,
            value::number(0..=10_000),
        ),
        io_read_bps: limits.read("io_read_bps", default.io_read_bps, value::rate),
        io_write_bps: limits.read("io_write_bps", default.io_write_bps, value::rate),
    };
    limits.finish();
    read
}

fn read_probe(server: &mut Section, default: &Probe) -> Probe {
    let mut probe = server.section("probe");
    let times = Probe {
        target: probe.read("address", default.target.clone(), value::target),
        period_ms: probe.read("period_ms", default.period_ms, value::number(100..=3_600_000)),
        timeout_ms: probe.read("timeout_ms", default.timeout_ms, value::number(10..=600_000)),
        ..default.clone()
    };
    probe.finish();
    let mut liveness = server.section("liveness");
    let busy_failures =
        liveness.read("busy_failure_threshold", default.busy_failures, value::number(COUNTS));
    Probe {
        startup_failures: threshold(server.section("startup"), default.startup_failures),
        readiness_failures: threshold(server.section("readiness"), default.readiness_failures),
        liveness_failures: threshold(liveness, default.liveness_failures),
        busy_failures,
        pressure_restart_ms: read_pressure(server.section("pressure"), default),
        ..times
    }
}

/// Failures in a row.
const COUNTS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

fn read_pressure(mut pressure: Section, default: &Probe) -> u32 {
    let most = value::number(0..=3_600_000);
    let restart_ms = pressure.read("restart_after_ms", default.pressure_restart_ms, most);
    pressure.finish();
    restart_ms
}

fn threshold(mut section: Section, default: u32) -> u32 {
    let threshold = section.read("failure_threshold", default, value::number(COUNTS));
    section.finish();
    threshold
}

/// A section with an address and no mode is static: who writes an address means it.
fn read_network(mut network: Section) -> Network {
    let standard = Network::default();
    let usual = if network.has("address") { NetworkMode::Static } else { NetworkMode::Dhcp };
    let mode = network.read("mode", usual, value::network_mode);
    let device = network.read("device", Default::default(), value::device);
    let fixed = read_static(&mut network, mode == NetworkMode::Static, &device);
    let ipv4 = match mode {
        NetworkMode::Static => fixed.map_or(standard.ipv4, Ipv4::Static),
        NetworkMode::Dhcp => Ipv4::Dhcp { device },
        NetworkMode::Off => Ipv4::Off,
    };
    let ipv6 = network.read("ipv6", standard.ipv6, value::ipv6);
    network.finish();
    Network { ipv4, ipv6 }
}

/// The keys of a fixed address, which are mistakes where there is none.
fn read_static(network: &mut Section, wanted: bool, device: &Name) -> Option<StaticNetwork> {
    if !wanted {
        for key in ["address", "gateway", "dns"] {
            if network.has(key) {
                network.wrong(key, "is for network.mode = \"static\"");
            }
        }
        return None;
    }
    let address = network.required("address", value::address);
    let gateway = network.read("gateway", None, value::gateway);
    let dns = network.read("dns", [None; 2], value::dns);
    let (address, prefix) = address?;
    Some(StaticNetwork { device: device.clone(), address, prefix, gateway, dns })
}

fn read_time(mut time: Section) -> Option<Vec<String>> {
    let servers = time.read("ntp", None, |value| value::servers(value).map(Some));
    time.finish();
    servers
}

fn read_backup(mut backup: Section) -> Settings {
    let default = Settings::default();
    let read = Settings {
        every: backup.read("every", default.every, value::every),
        keep: backup.read("keep", default.keep, value::number(1..=1_000)),
        directory: backup.read("directory", default.directory.clone(), value::directory),
    };
    backup.finish();
    read
}

fn read_update(mut section: Section) -> update::Settings {
    let default = update::Settings::STANDARD;
    let read = update::Settings {
        stable_ms: section.read("stable_ms", default.stable_ms, value::number(0..=600_000)),
        deadline_ms: section.read(
            "deadline_ms",
            default.deadline_ms,
            value::number(5_000..=600_000),
        ),
    };
    if read.deadline_ms <= read.stable_ms {
        section.wrong("deadline_ms", "is not more than stable_ms");
    }
    section.finish();
    read
}

fn read_status(mut status: Section) -> Option<SocketAddr> {
    let listen = status.read("listen", None, value::listen);
    status.finish();
    listen
}

fn read_console(mut console: Section) -> bool {
    let commands = console.read("commands", false, value::switch);
    console.finish();
    commands
}

fn read_logs(mut logs: Section) -> Keep {
    let standard = Keep::STANDARD;
    let kept = Keep {
        files: logs.read("files", standard.files, value::number(0..=100)),
        file_bytes: logs.read("file_size", standard.file_bytes, value::size),
    };
    logs.finish();
    kept
}

#[cfg(test)]
mod tests;
