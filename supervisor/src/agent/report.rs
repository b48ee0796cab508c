//! The status report: one structure, shown as JSON and as text. Its fields are documented in the
//! package's README.

mod past;

use std::collections::BTreeMap;
use std::fmt;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::machine::{Exit, LastExit, Next, State};
use holdfast_supervisor::snapshot::{Mode, PlanSource, ServiceView, Snapshot};
use serde::Serialize;

use crate::backup;
use crate::certs::report::Certificates;
use crate::control::Counters;
use crate::network;
use crate::run::Shared;
use crate::source::FileState;
use crate::time;
use crate::update;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    mode: &'static str,
    /// The server answers PING.
    ready: bool,
    shutting_down: bool,
    uptime_ms: Ms,
    /// Heap allocations of PID 1 since it sealed its heap.
    init_allocations: u64,
    boot: past::Boot,
    watchdog: past::Watchdog,
    services: BTreeMap<String, Service>,
    probe: Probe,
    config: ConfigFile,
    /// `null` while `[tls]` is off.
    certificates: Option<Certificates>,
    /// `null` in a container.
    network: Option<network::Report>,
    time: Option<time::Report>,
    backup: backup::Told,
    /// `null` in a container.
    update: Option<update::Told>,
    control: Counters,
    degraded: Vec<Degradation>,
}

#[derive(Debug, Serialize)]
struct Service {
    state: &'static str,
    pid: Option<u32>,
    run: u32,
    uptime_ms: Option<Ms>,
    restarts: u32,
    /// In a row, since the last good run.
    failures: u32,
    hangs: u32,
    oom_kills: u32,
    cleared_ms: u32,
    last_exit: Option<Ended>,
    next_start_in_ms: Option<Ms>,
    pending_restart: bool,
    /// Its own words (sd_notify STATUS).
    status: String,
    /// Lines of its log that standard output did not take.
    log_dropped: u64,
}

#[derive(Debug, Serialize)]
struct Ended {
    cause: &'static str,
    code: Option<u8>,
    signal: Option<u8>,
    errno: Option<u16>,
    text: String,
    ran_ms: Ms,
    ago_ms: Ms,
}

#[derive(Debug, Serialize)]
struct Probe {
    endpoint: Option<String>,
    error: Option<String>,
    ago_ms: Option<Ms>,
}

#[derive(Debug, Serialize)]
struct ConfigFile {
    /// That counts: the image's, or the site's.
    path: &'static str,
    present: bool,
    /// Whose plan runs: "file", "last-good", "image" or "built-in".
    plan: &'static str,
    errors: Vec<FileError>,
}

#[derive(Debug, Serialize)]
struct FileError {
    line: usize,
    column: usize,
    message: String,
}

#[derive(Debug, Serialize)]
struct Degradation {
    code: &'static str,
    text: &'static str,
}

impl Report {
    pub(crate) fn new(shared: &Shared) -> Self {
        let now = now_ms();
        let snapshot = shared.snapshot.borrow();
        let snapshot = snapshot.as_ref();
        let services: BTreeMap<_, _> = snapshot
            .iter()
            .flat_map(|snapshot| &snapshot.services)
            .map(|view| (view.name.to_string(), Service::new(view, now)))
            .collect();
        let probed = shared.probed.borrow();
        let mode = snapshot.map_or(Mode::Container, |snapshot| snapshot.mode);
        let backup = backup::Told::new(shared, mode, now);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            mode: match mode {
                Mode::Metal => "metal",
                Mode::Container => "container",
            },
            ready: snapshot.is_some_and(is_ready),
            shutting_down: snapshot.is_some_and(|snapshot| snapshot.shutting_down),
            uptime_ms: snapshot.map_or(0, |snapshot| now.saturating_sub(snapshot.started_at)),
            init_allocations: snapshot.map_or(0, |snapshot| snapshot.allocations),
            boot: past::boot(snapshot),
            watchdog: past::watchdog(snapshot),
            services,
            probe: Probe {
                endpoint: probed.endpoint.clone(),
                error: probed.error.clone(),
                ago_ms: probed.at.map(|at| now.saturating_sub(at)),
            },
            config: ConfigFile::new(&shared.file.borrow(), snapshot),
            certificates: Certificates::new(shared),
            network: shared.network.view.borrow().report(),
            time: shared.time.borrow().report(),
            degraded: degraded(snapshot, shared, &backup),
            backup,
            update: update::Told::new(shared, snapshot),
            control: shared.counters.get(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a structure of numbers and strings is JSON")
    }
}

/// It answers, and can keep what it is told.
fn is_ready(snapshot: &Snapshot) -> bool {
    let server = snapshot.service("server");
    let answers = server.is_some_and(|(_, it)| matches!(it.record.state, State::Ready { .. }));
    answers && !snapshot.degraded.contains(Degraded::DataReadOnly)
}

fn degraded(
    snapshot: Option<&Snapshot>,
    shared: &Shared,
    backup: &backup::Told,
) -> Vec<Degradation> {
    let mut set = snapshot.map(|snapshot| snapshot.degraded).unwrap_or_default();
    if shared.status_socket.get().is_none() {
        set.insert(Degraded::NoStatusSocket);
    }
    for degraded in shared.certs.degraded() {
        set.insert(degraded);
    }
    if !shared.file.borrow().problems.is_empty() {
        set.insert(Degraded::ConfigRefused);
    }
    if backup.has_failed() {
        set.insert(Degraded::BackupFailed);
    }
    if shared.network.view.borrow().has_rival() {
        set.insert(Degraded::AddressConflict);
    }
    set.iter().map(|each| Degradation { code: each.code(), text: each.text() }).collect()
}

impl Service {
    fn new(view: &ServiceView, now: Ms) -> Self {
        let record = &view.record;
        Self {
            state: record.state.name(),
            pid: view.pid,
            run: view.run,
            uptime_ms: record.state.running_since().map(|since| now.saturating_sub(since)),
            restarts: record.restarts,
            failures: record.failures,
            hangs: record.hangs,
            oom_kills: record.oom_kills,
            cleared_ms: record.cleared_ms,
            last_exit: record.last_exit.map(|last| Ended::new(last, now)),
            next_start_in_ms: match record.state {
                State::Backoff { until }
                | State::Clearing { next: Next::Backoff { until }, .. } => {
                    Some(until.saturating_sub(now))
                }
                _ => None,
            },
            pending_restart: view.pending_restart,
            status: view.status.to_string(),
            log_dropped: view.log_dropped,
        }
    }
}

impl Ended {
    fn new(last: LastExit, now: Ms) -> Self {
        let (cause, code, signal, errno) = match last.exit {
            Exit::Code(code) => ("exit", Some(code), None, None),
            Exit::Signal(signal) => ("signal", None, Some(signal), None),
            Exit::Oom => ("oom", None, Some(9), None),
            Exit::Hung => ("hung", None, Some(9), None),
            Exit::Late => ("startup", None, Some(9), None),
            Exit::Spawn { errno, .. } => ("spawn", None, None, Some(errno)),
        };
        let text = exit_text(last.exit);
        let ago_ms = now.saturating_sub(last.at);
        Self { cause, code, signal, errno, text, ran_ms: last.ran_ms, ago_ms }
    }
}

/// How a process ended, in words.
pub(crate) fn exit_text(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
        Exit::Oom => "killed: out of memory".to_owned(),
        Exit::Hung => "killed: it hung".to_owned(),
        Exit::Late => "killed: it did not become ready in time".to_owned(),
        Exit::Spawn { step, errno } => {
            let error = std::io::Error::from_raw_os_error(i32::from(errno));
            format!("could not be started: {}: {error}", step.name())
        }
    }
}

impl ConfigFile {
    fn new(file: &FileState, snapshot: Option<&Snapshot>) -> Self {
        let from_agent = snapshot.is_some_and(|snapshot| snapshot.plan == PlanSource::Agent);
        let errors = file.problems.iter().map(|problem| FileError {
            line: problem.line,
            column: problem.column,
            message: problem.message.clone(),
        });
        Self {
            path: file.path,
            present: file.present,
            plan: if from_agent { file.source.name() } else { "built-in" },
            errors: errors.collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let ready = if self.ready { "ready" } else { "not ready" };
        let up = Span(self.uptime_ms);
        writeln!(f, "holdfast {} ({}), {ready}, up {up}", self.version, self.mode)?;
        for (name, service) in &self.services {
            write!(f, "{name}: {service}")?;
        }
        if let Some(endpoint) = &self.probe.endpoint {
            writeln!(f, "probe: {endpoint}")?;
        }
        if let Some(error) = &self.probe.error {
            writeln!(f, "probe failed: {error}")?;
        }
        for error in &self.config.errors {
            let FileError { line, column, message } = error;
            writeln!(f, "refused: {}:{line}:{column}: {message}", self.config.path)?;
        }
        if let Some(certificates) = &self.certificates {
            certificates.fmt(f)?;
        }
        if let Some(network) = &self.network {
            write!(f, "{network}")?;
        }
        if let Some(time) = &self.time {
            write!(f, "{time}")?;
        }
        write!(f, "{}", self.backup)?;
        if let Some(update) = &self.update {
            write!(f, "{update}")?;
        }
        for degraded in &self.degraded {
            writeln!(f, "degraded: {} ({})", degraded.text, degraded.code)?;
        }
        writeln!(f, "init: {} allocations since start-up", self.init_allocations)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.state)?;
        if let Some(pid) = self.pid {
            write!(f, ", pid {pid}")?;
        }
        if let Some(up) = self.uptime_ms {
            write!(f, ", up {}", Span(up))?;
        }
        if let Some(next) = self.next_start_in_ms {
            write!(f, ", next start in {}", Span(next))?;
        }
        writeln!(
            f,
            ", {} restarts, {} hangs, {} out-of-memory kills",
            self.restarts, self.hangs, self.oom_kills
        )?;
        if !self.status.is_empty() {
            writeln!(f, "  says: {}", self.status)?;
        }
        if let Some(last) = &self.last_exit {
            let (ago, ran) = (Span(last.ago_ms), Span(last.ran_ms));
            writeln!(f, "  last exit: {}, {ago} ago, after {ran}", last.text)?;
        }
        if self.pending_restart {
            writeln!(f, "  the configuration has changed: takes effect with its next start")?;
        }
        Ok(())
    }
}

/// `1.2 s`, `3 min 4 s`, `2 d 3 h`.
pub(crate) struct Span(pub(crate) Ms);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let seconds = self.0 / 1000;
        match seconds {
            0..60 => write!(f, "{}.{} s", seconds, self.0 % 1000 / 100),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86400 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86400, seconds / 3600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_supervisor::degraded::DegradedSet;
    use holdfast_supervisor::machine::Record;

    use super::*;

    #[test]
    fn a_server_that_answers_and_cannot_keep_anything_is_not_ready() {
        let plan = holdfast_supervisor::plan::Plan::built_in();
        let view = |state| ServiceView {
            name: plan.services[0].name.clone(),
            record: Record { state, ..Record::NEW },
            pid: Some(7),
            run: 1,
            pending_restart: false,
            status: Default::default(),
            log_dropped: 0,
        };
        let told = |state, degraded: &[Degraded]| {
            let mut set = DegradedSet::default();
            for each in degraded {
                set.insert(*each);
            }
            is_ready(&Snapshot {
                mode: Mode::Metal,
                shutting_down: false,
                plan: PlanSource::BuiltIn,
                degraded: set,
                started_at: 0,
                allocations: 0,
                boot: Default::default(),
                watchdog_s: 0,
                starved: Default::default(),
                slots: Default::default(),
                services: [view(state)].into_iter().collect(),
            })
        };
        let answers = State::Ready { since: 0, until: None };
        assert!(told(answers, &[Degraded::NoWatchdog, Degraded::DataFull]));
        assert!(!told(answers, &[Degraded::DataReadOnly]));
        assert!(!told(State::Unready { since: 0, until: None }, &[]));
    }

    #[test]
    fn spans_read_as_people_say_them() {
        let cases = [
            (1_234, "1.2 s"),
            (184_000, "3 min 4 s"),
            (7_500_000, "2 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(Span(ms).to_string(), text);
        }
    }
}
