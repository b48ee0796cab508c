//! Carries keys to other servers: MIGRATE's errands.
//!
//! A connection is kept for a while, as Valkey does: who moves a database key by key connects once.
//! What the other side says is believed as little as what a client says: a line for each command, of
//! bounded length, `+` for done and `-` for an error. Anything else ends the errand, and the keys stay.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;
use crate::engine::{Bell, Destination, Failure, Outcome, Transfer};

/// Connections kept, at most, and for how long without use: Valkey's numbers.
const KEPT_MAX: usize = 64;
const KEPT: Duration = Duration::from_secs(10);
/// How often is looked whether that is over.
const LOOK: Duration = Duration::from_secs(1);
/// A reply that is longer is none.
const LINE_MAX: usize = 1024;
/// Sent before the patience begins anew.
const CHUNK: usize = 64 * 1024;

/// Connections to other servers that nobody uses now.
#[derive(Default)]
pub struct Couriers {
    idle: Mutex<Vec<Courier>>,
    /// Rings when one is kept.
    bell: Arc<Bell>,
}

struct Courier {
    to: Destination,
    auth: Vec<u8>,
    stream: TcpStream,
    /// The database that is selected there.
    db: Option<i64>,
    /// Received and not understood yet.
    input: Vec<u8>,
    idle_since_us: i64,
}

/// A transfer being carried: what was heard of it.
struct Errand<'a> {
    transfer: &'a Transfer,
    /// Commands before those for the keys, and their answers to come.
    heads: Vec<u8>,
    heads_left: usize,
    /// An error that one of them was answered.
    refusal: Option<Vec<u8>>,
    outcome: Outcome,
}

/// Why an errand did not come to its end.
struct Broken {
    failure: Failure,
    /// The connection ended: it may be an old one.
    by_end: bool,
}

impl Broken {
    fn new(failure: Failure, error: &io::Error) -> Self {
        let others = [io::ErrorKind::TimedOut, io::ErrorKind::InvalidData];
        Self { failure, by_end: !others.contains(&error.kind()) }
    }
}

impl<'a> Errand<'a> {
    /// By a connection that has this database selected.
    fn new(transfer: &'a Transfer, selected: Option<i64>) -> Self {
        let mut heads = transfer.auth.clone();
        let mut heads_left = usize::from(!heads.is_empty());
        if selected != Some(transfer.db) {
            heads.extend_from_slice(&transfer.select);
            heads_left += 1;
        }
        Self { transfer, heads, heads_left, refusal: None, outcome: Outcome::default() }
    }

    fn is_over(&self) -> bool {
        self.outcome.taken.len() == self.transfer.keys
    }

    /// Takes an answer: done, or an error behind a `-`.
    fn hear(&mut self, line: &[u8]) -> io::Result<()> {
        let error = match line.split_first() {
            Some((b'+', _)) => None,
            Some((b'-', error)) => Some(error.to_vec()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        if self.heads_left > 0 {
            self.heads_left -= 1;
            self.refusal = self.refusal.take().or(error);
            return Ok(());
        }
        // Whatever else it says: the keys did not go where they were meant to.
        let error = self.refusal.clone().or(error);
        self.outcome.taken.push(error.is_none());
        self.outcome.refusal = self.outcome.refusal.take().or(error);
        Ok(())
    }
}

impl Couriers {
    /// Runs an errand and tells the engine what came of it.
    pub async fn carry(self: Arc<Self>, shared: Arc<Shared>, transfer: Transfer) {
        let outcome = self.deliver(&shared, &transfer).await;
        let number = transfer.number;
        // It may be large, and what is freed under the lock holds others up.
        drop(transfer);
        let now = shared.clock.now();
        let mut engine = shared.engine();
        engine.transfers.cached_sockets = self.idle().len();
        engine.end_transfer(number, &outcome, now, &shared.clock);
    }

    /// Closes connections that nobody used for a while.
    pub async fn look_after(self: Arc<Self>, shared: Arc<Shared>) {
        loop {
            self.bell.rings().await;
            while !self.idle().is_empty() {
                shared.timers.sleep(LOOK).await;
                let oldest_us = shared.clock.now().us - KEPT.as_micros() as i64;
                self.idle().retain(|courier| courier.idle_since_us > oldest_us);
                let mut engine = shared.engine();
                engine.transfers.cached_sockets = self.idle().len();
            }
        }
    }

    async fn deliver(&self, shared: &Shared, transfer: &Transfer) -> Outcome {
        let mut may_retry = true;
        loop {
            let kept = self.take(transfer);
            let courier = match kept {
                Some(courier) => Ok(courier),
                None => Courier::to(shared, transfer).await,
            };
            let mut courier = match courier {
                Ok(courier) => courier,
                Err(error) => {
                    let failure = Some(failure_to_connect(&error));
                    return Outcome { failure, ..Outcome::default() };
                }
            };
            let mut errand = Errand::new(transfer, courier.db);
            let done = courier.run(shared, &mut errand).await;
            let outcome = errand.outcome;
            match done {
                Ok(()) => {
                    courier.db = outcome.refusal.is_none().then_some(transfer.db);
                    self.keep(courier, shared.clock.now().us);
                    return outcome;
                }
                // Nothing is known to have been done.
                Err(Broken { by_end: true, .. }) if may_retry && outcome.taken.is_empty() => {
                    may_retry = false;
                }
                Err(broken) => return Outcome { failure: Some(broken.failure), ..outcome },
            }
        }
    }

    fn take(&self, transfer: &Transfer) -> Option<Courier> {
        let mut idle = self.idle();
        let is_its = |courier: &Courier| courier.to == transfer.to && courier.auth == transfer.auth;
        let place = idle.iter().position(is_its)?;
        Some(idle.swap_remove(place))
    }

    fn keep(&self, mut courier: Courier, now_us: i64) {
        if !courier.input.is_empty() {
            // It said more than it was asked.
            return;
        }
        courier.idle_since_us = now_us;
        let mut idle = self.idle();
        if idle.len() == KEPT_MAX {
            idle.swap_remove(0);
        }
        idle.push(courier);
        self.bell.ring();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Courier>> {
        self.idle.lock().expect("nobody panics while he holds it")
    }
}

impl Courier {
    /// Connects to where the transfer goes.
    async fn to(shared: &Shared, transfer: &Transfer) -> io::Result<Self> {
        let Destination { host, port } = &transfer.to;
        let connecting = TcpStream::connect((text(host)?, text(port)?.parse().unwrap_or(0)));
        let connecting = shared.timers.timeout(transfer.patience, connecting);
        let stream = connecting.await.ok_or(io::ErrorKind::TimedOut)??;
        // It fails only on a socket that is gone already; the first write says so.
        let _ = stream.set_nodelay(true);
        let (to, auth) = (transfer.to.clone(), transfer.auth.clone());
        Ok(Self { to, auth, stream, db: None, input: Vec::new(), idle_since_us: 0 })
    }

    /// Sends everything, then hears an answer to each command.
    async fn run(&mut self, shared: &Shared, errand: &mut Errand<'_>) -> Result<(), Broken> {
        let Transfer { restores, patience, .. } = errand.transfer;
        for bytes in [&errand.heads, restores] {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let writing = pin!(self.stream.write(&rest[..rest.len().min(CHUNK)]));
                let sent = step(shared, *patience, writing).await;
                rest = &rest[sent.map_err(|error| Broken::new(Failure::Writing, &error))?..];
            }
        }
        while !errand.is_over() {
            let heard = match self.take_line() {
                Some(line) => errand.hear(line.trim_ascii_end()),
                None if self.input.len() >= LINE_MAX => Err(io::ErrorKind::InvalidData.into()),
                None => {
                    let mut room = [0; LINE_MAX];
                    let reading = pin!(self.stream.read(&mut room));
                    let read = step(shared, *patience, reading).await;
                    read.map(|len| self.input.extend_from_slice(&room[..len]))
                }
            };
            heard.map_err(|error| Broken::new(Failure::Reading, &error))?;
        }
        Ok(())
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.input.iter().position(|&byte| byte == b'\n')?;
        Some(self.input.drain(..=end).collect())
    }
}

/// Waits for some bytes to go one way or the other, for as long as the other side may take. None at all
/// are its end.
async fn step(
    shared: &Shared,
    patience: Duration,
    bytes: Pin<&mut (dyn Future<Output = io::Result<usize>> + Send)>,
) -> io::Result<usize> {
    match shared.timers.timeout(patience, bytes).await {
        Some(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(moved) => moved,
        None => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Valkey hears that nobody is there when it begins to write.
fn failure_to_connect(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable => Failure::Writing,
        _ => Failure::Connecting,
    }
}
