//! The keeper of the server's certificates: makes and renews them, or takes over an operator's, and
//! tells the server. A certificate is never replaced by something worse.
//!
//! ```text
//!   schedule, clock    when one is made: pure
//!   bundle, chain, pem what is wrong with one: pure
//!   keeper             what is held and what to do next
//!   job                the work, in a thread of its own
//!   store, set         the files, switched in one step
//! ```

mod authority;
mod bundle;
mod chain;
pub(crate) mod check;
mod clock;
mod fault;
mod files;
mod issue;
mod job;
mod keeper;
pub(crate) mod names;
mod pem;
pub(crate) mod report;
pub(crate) mod schedule;
mod set;
mod store;
mod utc;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::bytes::Malformed;
use holdfast_supervisor::channel::{Control, ToInit};
use holdfast_supervisor::clock::now_ms;
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::paths;
use holdfast_supervisor::plan::{Args, Plan};
use holdfast_supervisor::snapshot::Mode;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{Mutex, Notify};

use crate::config::tls::{Origin, Tls};
use crate::run::Shared;
use keeper::{Keeper, Look};
use schedule::Decision;

/// Between two looks at the clocks, the names and an operator's files.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The plan waits this long for a first certificate; init starts without a plan after 2 s.
const FIRST_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Certs {
    /// Under it everything is kept.
    root: PathBuf,
    /// Absent while `[tls]` is off, or nothing can be kept.
    keeper: RefCell<Option<Keeper>>,
    /// Why nothing can be kept.
    no_store: RefCell<Option<String>>,
    /// The plan that init has asks for TLS.
    offered: Cell<bool>,
    /// One look at a time, with its work.
    turn: Mutex<()>,
    look_now: Notify,
}

impl Certs {
    pub(crate) fn new() -> Self {
        Self {
            root: PathBuf::from(paths::STATE).join("tls"),
            keeper: RefCell::default(),
            no_store: RefCell::default(),
            offered: Cell::new(false),
            turn: Mutex::new(()),
            look_now: Notify::new(),
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

    /// What the server must be told at its start. Without a certificate that is only what it must
    /// not do: answer without TLS where that is not wanted.
    pub(crate) fn add_arguments(&self, tls: &Tls, plan: &mut Plan) -> Result<(), Malformed> {
        let Some(server) = plan.services.iter_mut().find(|service| service.name == "server") else {
            return Ok(());
        };
        let args = &mut server.args;
        if tls.origin != Origin::Off && !tls.plaintext {
            push(args, &["--port", "0"])?;
        }
        let keeper = self.keeper.borrow();
        let in_use = keeper.as_ref().and_then(|keeper| Some((keeper, keeper.in_use.as_ref()?)));
        self.offered.set(in_use.is_some());
        let Some((keeper, in_use)) = in_use else { return Ok(()) };
        let current = keeper.store().current();
        let file = |name: &str| current.join(name).display().to_string();
        push(args, &["--tls-port", &tls.port.to_string()])?;
        push(args, &["--tls-cert-file", &file(set::CERTIFICATE)])?;
        push(args, &["--tls-key-file", &file(set::KEY)])?;
        if in_use.set.bundle.authority.is_some() {
            push(args, &["--tls-ca-cert-file", &file(set::AUTHORITY)])?;
        }
        push(args, &["--tls-auth-clients", tls.auth_clients.word()])
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
            (keeper.decision == Decision::AwaitEntropy, Degraded::NoEntropy),
            (keeper.decision == Decision::AwaitClock, Degraded::ClockUnset),
        ];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, code)| code).collect()
    }
}

fn push(args: &mut Args, words: &[&str]) -> Result<(), Malformed> {
    words.iter().try_for_each(|word| args.push(word.as_bytes()))
}

/// Before a plan is sent: whatever can be made in a moment is made, so that the server starts with it.
pub(crate) async fn prepare(shared: &Rc<Shared>) {
    let tls = shared.config().tls.clone();
    shared.certs.configure(&tls);
    let first = tokio::task::spawn_local({
        let shared = Rc::clone(shared);
        async move {
            if look(&shared).await {
                tell_server(&shared);
            }
        }
    });
    // What takes longer goes on, and the server is told then.
    let _ = tokio::time::timeout(FIRST_WAIT, first).await;
}

/// Never ends.
pub(crate) async fn keep(shared: &Rc<Shared>) {
    loop {
        // Whoever asked, or the time: both mean a look.
        let _ = tokio::time::timeout(LOOK_EVERY, shared.certs.look_now.notified()).await;
        if look(shared).await {
            tell_server(shared);
        }
    }
}

/// A look and the work that follows from it; true when the server has something new to read.
async fn look(shared: &Rc<Shared>) -> bool {
    let certs = &shared.certs;
    let _turn = certs.turn.lock().await;
    let Some((job, store)) = next_job(shared) else { return false };
    let work = tokio::task::spawn_blocking(move || {
        let result = job.run(&store);
        (job, result)
    });
    let Ok((job, result)) = work.await else { return false };
    let mut keeper = certs.keeper.borrow_mut();
    let Some(keeper) = keeper.as_mut() else { return false };
    let before = keeper.trouble.clone();
    let installed = keeper.done(&job, result, now_ms());
    if let Some(trouble) = keeper.trouble.as_ref().filter(|now| before.as_ref() != Some(now)) {
        eprintln!("holdfast-agent: certificate not taken: {trouble}");
    }
    if let Some(in_use) = keeper.in_use.as_ref().filter(|_| installed) {
        let (serial, until) = (&in_use.facts.serial, utc::Utc(in_use.facts.not_after));
        eprintln!("holdfast-agent: new certificate, serial {serial}, valid until {until}");
    }
    installed
}

fn next_job(shared: &Shared) -> Option<(job::Job, store::Store)> {
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
    Look {
        wall: wall_clock(),
        mono: now_ms(),
        confirmed: is_clock_confirmed(shared),
        entropy: getrandom(&mut [0; 1], GetRandomFlags::NONBLOCK).is_ok(),
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

/// init knows on a machine. In a container the clock is somebody else's.
fn is_clock_confirmed(shared: &Shared) -> bool {
    let snapshot = shared.snapshot.borrow();
    snapshot.as_ref().is_some_and(|snapshot| {
        snapshot.mode == Mode::Metal && !snapshot.degraded.contains(Degraded::ClockUnset)
    })
}

/// One that was started with TLS reads its files again; one that was not gets them with the plan.
fn tell_server(shared: &Shared) {
    if !shared.certs.offered.get() {
        shared.send_plan();
        return;
    }
    let snapshot = shared.snapshot.borrow();
    let server = snapshot.as_ref().and_then(|snapshot| snapshot.service("server"));
    let Some((slot, _)) = server.filter(|(_, server)| server.pid.is_some()) else { return };
    let message = ToInit::Control { slot: slot as u8, what: Control::Reload };
    if let Err(error) = shared.link.send(&message) {
        eprintln!("holdfast-agent: cannot have the server read its certificate: {error}");
    }
}
