//! Carries keys to other servers: MIGRATE's errands.
//!
//! A connection is kept for a while, as Valkey does: who moves a database key by key connects once.
//! What the other side says is believed as little as what a client says: a line for each command, of
//! bounded length, `+` for done and `-` for an error. Anything else ends the errand, and the keys stay.

use std::io;
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

/// Why an errand did not come to its end.
struct Broken {
    failure: Failure,
    /// The connection ended, and nothing is known to have been done: it may be an old one.
    may_retry: bool,
}

impl Broken {
    fn new(failure: Failure, error: &io::Error) -> Self {
        let final_kinds = [io::ErrorKind::TimedOut, io::ErrorKind::InvalidData];
        Self { failure, may_retry: !final_kinds.contains(&error.kind()) }
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
            let mut outcome = Outcome::default();
            let kept = self.take(transfer);
            let courier = match kept {
                Some(courier) => Ok(courier),
                None => Courier::to(shared, transfer).await,
            };
            let mut courier = match courier {
                Ok(courier) => courier,
                Err(error) => {
                    let failure = Some(failure_to_connect(&error));
                    return Outcome { failure, ..outcome };
                }
            };
            match courier.run(shared, transfer, &mut outcome).await {
                Ok(()) => {
                    courier.db = outcome.refusal.is_none().then_some(transfer.db);
                    self.keep(courier, shared.clock.now().us);
                    return outcome;
                }
                Err(broken) if broken.may_retry && may_retry => may_retry = false,
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
        let stream = connecting.await.unwrap_or_else(timed_out)?;
        // It fails only on a socket that is gone already; the first write says so.
        let _ = stream.set_nodelay(true);
        let (to, auth) = (transfer.to.clone(), transfer.auth.clone());
        Ok(Self { to, auth, stream, db: None, input: Vec::new(), idle_since_us: 0 })
    }

    /// Sends everything, then hears an answer to each command.
    async fn run(
        &mut self,
        shared: &Shared,
        transfer: &Transfer,
        outcome: &mut Outcome,
    ) -> Result<(), Broken> {
        let Transfer { auth, select, restores, .. } = transfer;
        let selects = self.db != Some(transfer.db);
        let select: &[u8] = if selects { select } else { &[] };
        for bytes in [&[auth, select].concat(), restores] {
            self.send(shared, transfer, bytes)
                .await
                .map_err(|error| Broken::new(Failure::Writing, &error))?;
        }
        let mut refusal = None;
        for _ in 0..usize::from(!auth.is_empty()) + usize::from(selects) {
            let answer = self.answer(shared, transfer).await;
            let answer = answer.map_err(|error| Broken::new(Failure::Reading, &error))?;
            refusal = refusal.or(answer.err());
        }
        for nth in 0..transfer.keys {
            let answer = self.answer(shared, transfer).await.map_err(|error| {
                let broken = Broken::new(Failure::Reading, &error);
                Broken { may_retry: broken.may_retry && nth == 0, ..broken }
            })?;
            // Whatever else it says: the keys did not go where they were meant to.
            let answer = refusal.clone().map_or(answer, Err);
            outcome.taken.push(answer.is_ok());
            outcome.refusal = outcome.refusal.take().or(answer.err());
        }
        Ok(())
    }

    async fn send(&mut self, shared: &Shared, transfer: &Transfer, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            let sending = self.stream.write_all(chunk);
            shared.timers.timeout(transfer.patience, sending).await.unwrap_or_else(timed_out)?;
        }
        Ok(())
    }

    /// One answer: done, or an error without its `-`.
    async fn answer(
        &mut self,
        shared: &Shared,
        transfer: &Transfer,
    ) -> io::Result<Result<(), Vec<u8>>> {
        if !self.input.contains(&b'\n') {
            let reading = self.read_line();
            shared.timers.timeout(transfer.patience, reading).await.unwrap_or_else(timed_out)?;
        }
        let end = self.input.iter().position(|&byte| byte == b'\n').unwrap_or_default();
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let line = line.trim_ascii_end();
        match line.split_first() {
            Some((b'+', _)) => Ok(Ok(())),
            Some((b'-', error)) => Ok(Err(error.to_vec())),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads until there is a whole line.
    async fn read_line(&mut self) -> io::Result<()> {
        while !self.input.contains(&b'\n') {
            if self.input.len() >= LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut room = [0; LINE_MAX];
            match self.stream.read(&mut room).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.input.extend_from_slice(&room[..len]),
            }
        }
        Ok(())
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

fn timed_out<T>() -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}
