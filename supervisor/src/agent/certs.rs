//! The keeper of the server's certificates: makes and renews them, or takes over an operator's, and
//! tells the server. A certificate is never replaced by something worse.
//!
//! ```text
//!   schedule, clock    when one is made: pure
//!   bundle, chain, pem what is wrong with one: pure
//!   constraints        what our authority may sign for: pure
//!   keeper             what is held and what to do next
//!   job                the work, in a thread of its own
//!   store, set         the files, switched in one step
//!   server             has the running server serve them
//! ```

mod authority;
mod bundle;
mod chain;
pub(crate) mod check;
mod clock;
mod command;
mod constraints;
mod fault;
mod files;
mod issue;
mod job;
mod keeper;
pub(crate) mod names;
mod pem;
pub(crate) mod report;
pub(crate) mod schedule;
mod server;
mod set;
mod store;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::bytes::Malformed;
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::paths;
use holdfast_supervisor::plan::Plan;
use holdfast_supervisor::snapshot::Mode;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::Mutex;

#[cfg(feature = "fuzz")]
pub(crate) use bundle::faults;
pub(crate) use command::command;

use crate::config::tls::{Origin, Tls};
use crate::run::Shared;
use job::{Done, Job};
use keeper::{Keeper, Look};
use schedule::Decision;
use server::Shown;

/// Between two looks at the clocks, the names and an operator's files.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The plan waits this long for a first certificate; init starts without a plan after 2 s.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// A new authority is for the names and the addresses of its moment: a machine has this long after
/// power-on to get one. Without any nobody reaches it.
const ADDRESS_WAIT_MS: Ms = 30_000;

pub(crate) struct Certs {
    /// Under it everything is kept.
    root: PathBuf,
    /// Absent while `[tls]` is off, or nothing can be kept.
    keeper: RefCell<Option<Keeper>>,
    /// Why nothing can be kept.
    no_store: RefCell<Option<String>>,
    /// The plan that init has asks for TLS.
    offered: Cell<bool>,
    /// init has the plan, and with it the machine its name.
    planned: Cell<bool>,
    /// What the server shows.
    shown: RefCell<Shown>,
    /// One look at a time, with its work.
    turn: Mutex<()>,
}

impl Certs {
    pub(crate) fn new() -> Self {
        Self {
            root: PathBuf::from(paths::STATE).join("tls"),
            keeper: RefCell::default(),
            no_store: RefCell::default(),
            offered: Cell::new(false),
            planned: Cell::new(false),
            shown: RefCell::default(),
            turn: Mutex::new(()),
        }
    }

    /// Takes a new `[tls]`.
    fn configure(&self, tls: &Tls) {
        let mut keeper = self.keeper.borrow_mut();
        self.no_store.take();
        match keeper.as_mut() {
            _ if tls.origin == Origin::Off => *keeper = None,
            Some(keeper) => keeper.configure(tls.clone()),
            None => match Keeper::open(&self.root, tls.clone()) {
                Ok(opened) => *keeper = Some(opened),
                Err(error) => {
                    let text = format!("{}: {error}", self.root.display());
                    eprintln!("holdfast-agent: certificates cannot be kept: {text}");
                    self.no_store.replace(Some(text));
                }
            },
        }
    }

    /// The plan's server gets what makes it speak TLS.
    pub(crate) fn add_arguments(&self, tls: &Tls, plan: &mut Plan) -> Result<(), Malformed> {
        let directives = self.directives(tls);
        self.offered.set(directives.iter().any(|(name, _)| *name == "tls-port"));
        let server = plan.services.iter_mut().find(|service| service.name == "server");
        let Some(server) = server else { return Ok(()) };
        directives.iter().try_for_each(|(name, value)| {
            server.args.push(format!("--{name}").as_bytes())?;
            server.args.push(value.as_bytes())
        })
    }

    /// Without a certificate that is only what the server must not do: answer without TLS where that
    /// is not wanted.
    fn directives(&self, tls: &Tls) -> Vec<(&'static str, String)> {
        let mut directives = Vec::new();
        if tls.origin != Origin::Off && !tls.plaintext {
            directives.push(("port", "0".to_owned()));
        }
        let keeper = self.keeper.borrow();
        let in_use = keeper.as_ref().and_then(|keeper| Some((keeper, keeper.in_use.as_ref()?)));
        let Some((keeper, in_use)) = in_use else { return directives };
        let current = keeper.store().current();
        let file = |name: &str| current.join(name).display().to_string();
        directives.push(("tls-cert-file", file(set::CERTIFICATE)));
        directives.push(("tls-key-file", file(set::KEY)));
        if in_use.set.bundle.authority.is_some() {
            directives.push(("tls-ca-cert-file", file(set::AUTHORITY)));
        }
        directives.push(("tls-auth-clients", tls.auth_clients.word().to_owned()));
        directives.push(("tls-port", tls.port.to_string()));
        directives
    }

    /// After a job: what became of it is said. True when there is a new certificate.
    fn conclude(&self, job: &Job, result: Result<Done, String>) -> bool {
        let mut keeper = self.keeper.borrow_mut();
        let Some(keeper) = keeper.as_mut() else { return false };
        let before = keeper.trouble.clone();
        let installed = keeper.done(job, result, now_ms());
        if let Some(trouble) = keeper.trouble.as_ref().filter(|now| before.as_ref() != Some(now)) {
            eprintln!("holdfast-agent: certificate not taken: {trouble}");
        }
        if let Some(in_use) = keeper.in_use.as_ref().filter(|_| installed) {
            let (serial, until) = (&in_use.facts.serial, crate::utc::Utc(in_use.facts.not_after));
            eprintln!("holdfast-agent: new certificate, serial {serial}, valid until {until}");
        }
        installed
    }

    /// Of the certificate in use.
    fn serial(&self) -> Option<String> {
        Some(self.keeper.borrow().as_ref()?.in_use.as_ref()?.facts.serial.clone())
    }

    pub(crate) fn degraded(&self) -> Vec<Degraded> {
        let keeper = self.keeper.borrow();
        let Some(keeper) = keeper.as_ref() else {
            let missing = self.no_store.borrow().is_some();
            return missing.then_some(Degraded::CertificateExpiring).into_iter().collect();
        };
        let files = matches!(keeper.tls.origin, Origin::Files(_));
        let all = [
            (keeper.is_late(), Degraded::CertificateExpiring),
            (files && keeper.trouble.is_some(), Degraded::CertificateRefused),
            (self.shown.borrow().trouble().is_some(), Degraded::CertificateRefused),
            (keeper.misses_a_choice(), Degraded::CertificateNames),
            (keeper.decision == Decision::AwaitEntropy, Degraded::NoEntropy),
            (keeper.decision == Decision::AwaitClock, Degraded::ClockUnset),
        ];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, code)| code).collect()
    }
}

/// Before a plan is sent: whatever can be made in a moment is made, so that the server starts with it.
pub(crate) async fn prepare(shared: &Rc<Shared>) {
    let tls = shared.config().tls.clone();
    shared.certs.configure(&tls);
    let first = tokio::task::spawn_local({
        let shared = Rc::clone(shared);
        async move {
            look(&shared).await;
        }
    });
    // What takes longer goes on, and the server is told then.
    let _ = tokio::time::timeout(FIRST_WAIT, first).await;
}

/// Never ends.
pub(crate) async fn keep(shared: &Rc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        shared.certs.planned.set(true);
        look(shared).await;
        server::follow(shared).await;
    }
}

/// A look and the work that follows from it.
async fn look(shared: &Rc<Shared>) {
    let certs = &shared.certs;
    let _turn = certs.turn.lock().await;
    let Some((job, store)) = next_job(shared) else { return };
    let work = tokio::task::spawn_blocking(move || {
        let result = job.run(&store);
        (job, result)
    });
    let Ok((job, result)) = work.await else { return };
    let installed = certs.conclude(&job, result);
    if installed && !certs.offered.get() {
        shared.send_plan();
    }
}

fn next_job(shared: &Shared) -> Option<(Job, store::Store)> {
    let mut keeper = shared.certs.keeper.borrow_mut();
    let keeper = keeper.as_mut()?;
    let job = keeper.look(&present(shared, &keeper.tls))?;
    Some((job, keeper.store().clone()))
}

fn present(shared: &Shared, tls: &Tls) -> Look {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let names = match tls.origin {
        Origin::SelfCa { .. } => names::of_this_machine(&host, &tls.names),
        _ => Vec::new(),
    };
    let on_metal = is_on_metal(shared);
    // In a container it is a number that changes with each.
    let named = names::Name::parse(&host).filter(|_| on_metal);
    let has_address = || now_ms() >= ADDRESS_WAIT_MS || names::have_address();
    Look {
        wall: wall_clock(),
        mono: now_ms(),
        confirmed: is_clock_confirmed(shared),
        entropy: getrandom(&mut [0; 1], GetRandomFlags::NONBLOCK).is_ok(),
        chosen: tls.names.iter().cloned().chain(named).collect(),
        settled: !on_metal || (shared.certs.planned.get() && has_address()),
        host,
        names,
    }
}

pub(crate) fn wall_clock() -> schedule::Unix {
    let since = |elapsed: Duration| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    }
}

fn is_on_metal(shared: &Shared) -> bool {
    shared.snapshot.borrow().as_ref().is_some_and(|snapshot| snapshot.mode == Mode::Metal)
}

/// init knows on a machine. In a container the clock is somebody else's.
fn is_clock_confirmed(shared: &Shared) -> bool {
    let snapshot = shared.snapshot.borrow();
    snapshot.as_ref().is_some_and(|snapshot| {
        snapshot.mode == Mode::Metal && !snapshot.degraded.contains(Degraded::ClockUnset)
    })
}
