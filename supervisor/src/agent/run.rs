//! `holdfast-agent run`: what init starts.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::channel::{ToAgent, ToInit};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::cmdline;
use holdfast_supervisor::snapshot::{Mode, Snapshot};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::certs::{self, Certs};
use crate::config::{Config, Problem};
use crate::control::rate::Rate;
use crate::control::{Counters, MAX_FOLLOWERS};
use crate::link::Link;
use crate::logs::{self, Logs};
use crate::network::{self, Network};
use crate::ping::{Answer, Endpoint};
use crate::source::{self, FileState, Source};
use crate::{backup, console, last_good, pressure, prober, serve, time, update};

/// init waits ten times as long.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// What the agent's tasks share; they all run on one thread.
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) snapshot: watch::Sender<Option<Snapshot>>,
    pub(crate) file: RefCell<FileState>,
    pub(crate) probed: RefCell<Probed>,
    pub(crate) status_socket: Cell<Option<&'static str>>,
    pub(crate) logs: Logs,
    pub(crate) certs: Certs,
    pub(crate) network: Network,
    pub(crate) time: RefCell<time::View>,
    /// Changes whenever the file was read again and was told to init.
    pub(crate) loaded: watch::Sender<()>,
    /// Held by a backup, a restore or an update for as long as it lasts.
    pub(crate) operation: Mutex<()>,
    pub(crate) backup: RefCell<backup::State>,
    /// What became of the last update.
    pub(crate) update: RefCell<Option<update::Record>>,
    pub(crate) counters: Cell<Counters>,
    pub(crate) rate: RefCell<Rate>,
    /// Places for those who read the log.
    pub(crate) followers: Semaphore,
    config: RefCell<Config>,
    /// Nothing was loaded yet.
    is_fresh: Cell<bool>,
}

/// The last probe.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) endpoint: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) at: Option<Ms>,
}

impl Probed {
    pub(crate) fn is_answered(&self) -> bool {
        self.at.is_some() && self.error.is_none()
    }
}

impl Shared {
    fn new(link: Link) -> Self {
        Self {
            link,
            snapshot: watch::Sender::new(None),
            file: RefCell::default(),
            probed: RefCell::default(),
            status_socket: Cell::new(None),
            logs: Logs::new(),
            certs: Certs::new(),
            network: Network::default(),
            time: RefCell::default(),
            loaded: watch::Sender::new(()),
            operation: Mutex::new(()),
            backup: RefCell::default(),
            update: RefCell::default(),
            counters: Cell::default(),
            rate: RefCell::new(Rate::new(now_ms())),
            followers: Semaphore::new(MAX_FOLLOWERS),
            config: RefCell::new(Config::default()),
            is_fresh: Cell::new(true),
        }
    }

    pub(crate) fn config(&self) -> std::cell::Ref<'_, Config> {
        self.config.borrow()
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    pub(crate) fn note_probe(
        &self,
        endpoint: Option<&Endpoint>,
        outcome: &std::io::Result<Answer>,
    ) {
        *self.probed.borrow_mut() = Probed {
            endpoint: endpoint.map(Endpoint::to_string),
            error: outcome.as_ref().err().map(ToString::to_string),
            at: Some(now_ms()),
        };
    }

    /// Reads the file; false: it is refused, and init goes on with the plan it has. An agent that
    /// has none yet takes another.
    fn read_config(&self, on_metal: bool) -> bool {
        let (path, read) = source::read(on_metal);
        match read {
            Ok(config) => {
                let present = config.is_some();
                if present {
                    last_good::keep(Path::new(path));
                }
                *self.file.borrow_mut() = FileState { path, present, ..FileState::default() };
                *self.config.borrow_mut() = config.unwrap_or_default();
                true
            }
            Err(problems) => self.do_without(path, problems),
        }
    }

    fn do_without(&self, path: &'static str, problems: Vec<Problem>) -> bool {
        let known = self.is_fresh.get().then(|| source::substitute(path)).flatten();
        let Some((source, config)) = known else {
            self.refuse(path, problems);
            return false;
        };
        say(
            path,
            &problems,
            match source {
                Source::Image => "the image's configuration is used",
                _ => "the last configuration that was good is used",
            },
        );
        *self.file.borrow_mut() = FileState { path, present: true, problems, source };
        *self.config.borrow_mut() = config;
        true
    }

    fn refuse(&self, path: &'static str, problems: Vec<Problem>) {
        say(path, &problems, "the configuration is unchanged");
        let source = self.file.borrow().source;
        *self.file.borrow_mut() = FileState { path, present: true, problems, source };
        self.tell_init(&ToInit::KeepPlan);
    }

    /// The plan of the file, and what the server needs for TLS as things are now.
    pub(crate) fn send_plan(&self) {
        let config = self.config();
        let mut plan = config.plan.clone();
        match self.certs.add_arguments(&config.tls, &mut plan) {
            Ok(()) => self.tell_init(&ToInit::Plan(plan)),
            Err(malformed) => {
                let message = format!("with those of [tls], {}", malformed.0);
                let path = self.file.borrow().path;
                self.refuse(path, vec![Problem { line: 1, column: 1, message }]);
            }
        }
    }

    fn tell_init(&self, message: &ToInit) {
        if let Err(error) = self.link.send(message) {
            eprintln!("holdfast-agent: cannot give init its plan: {error}");
        }
        self.loaded.send_replace(());
    }
}

fn say(path: &str, problems: &[Problem], what_then: &str) {
    for problem in problems {
        eprintln!("holdfast-agent: {path}:{problem}");
    }
    eprintln!("holdfast-agent: {what_then}");
}

/// Reads the file and tells init: the plan, or to go on with the one it has.
pub(crate) async fn load(shared: &Rc<Shared>) {
    // Only init knows where this runs; it says so first thing.
    let on_metal = kernel_words(shared).await.is_some();
    let is_good = shared.read_config(on_metal);
    shared.is_fresh.set(false);
    if is_good {
        certs::prepare(shared).await;
        shared.send_plan();
    }
}

/// Data that an interrupted restore left is put right before the server is given anything to load.
async fn begin(shared: &Rc<Shared>) {
    let is_recovered = backup::restore::recover(shared).await;
    load(shared).await;
    if is_recovered {
        backup::restore::start_again(shared);
    }
}

pub(crate) fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.and_then(|runtime| {
        let result = tokio::task::LocalSet::new().block_on(&runtime, serve_until_stopped());
        // A name server or a disk that does not answer keeps nobody here.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_until_stopped() -> std::io::Result<()> {
    let shared = Rc::new(Shared::new(Link::inherited()?));
    let mut stop = signal(SignalKind::terminate())?;
    let mut reload = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = stop.recv() => return Ok(()),
        ended = follow_init(&shared) => return ended,
        () = say_alive(&shared.link) => {}
        () = begin(&shared) => {}
    }
    let reloads = async {
        while reload.recv().await.is_some() {
            load(&shared).await;
        }
    };
    tokio::select! {
        _ = stop.recv() => Ok(()),
        ended = follow_init(&shared) => ended,
        () = reloads => Ok(()),
        () = prober::watch_server(&shared) => Ok(()),
        () = certs::keep(&shared) => Ok(()),
        () = pressure::relieve(&shared) => Ok(()),
        () = network::manage(&shared) => Ok(()),
        () = time::keep(&shared) => Ok(()),
        () = serve::local(&shared) => Ok(()),
        () = serve::remote(&shared) => Ok(()),
        () = console::attend(&shared) => Ok(()),
        () = say_alive(&shared.link) => Ok(()),
        () = backup::schedule::keep(&shared) => Ok(()),
        () = update::keep(&shared) => Ok(()),
    }
}

/// From the one thread that does everything: when it hangs, init is told nothing, and knows.
async fn say_alive(link: &Link) {
    loop {
        // One that does not get through is followed by others.
        let _ = link.send(&ToInit::Alive);
        tokio::time::sleep(ALIVE_EVERY).await;
    }
}

/// Without init there is nothing to do: it is gone, or has given us up.
async fn follow_init(shared: &Shared) -> std::io::Result<()> {
    loop {
        let message = shared.link.receive().await.map_err(|error| {
            std::io::Error::new(error.kind(), format!("the channel to init is closed ({error})"))
        })?;
        match message {
            ToAgent::Snapshot(snapshot) => {
                shared.logs.keep_on_disk(&snapshot, &shared.config().logs);
                shared.snapshot.send_replace(Some(snapshot));
            }
            ToAgent::Log { slot, at, text } => logs::take(shared, slot, at, &text),
        }
    }
}

/// The kernel command line counts on a machine only: a container sees its host's.
pub(crate) async fn kernel_words(shared: &Shared) -> Option<String> {
    let mut snapshots = shared.snapshot.subscribe();
    let first = snapshots.wait_for(Option::is_some).await.ok()?;
    let on_metal = first.as_ref().is_some_and(|snapshot| snapshot.mode == Mode::Metal);
    on_metal.then(|| std::fs::read_to_string("/proc/cmdline").unwrap_or_default())
}

pub(crate) fn listen_word(line: &str) -> Option<&str> {
    cmdline::value(line, "holdfast.status_listen")
}
