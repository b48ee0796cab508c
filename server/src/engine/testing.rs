//! An engine to test: time stands still unless told to pass, and the world outside is a record.

mod content;

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::observe::Run;
use super::{
    Address, Data, Durable, Engine, Garbage, Host, LoadMode, LogStatus, Progress, Reload, Seed,
    Slot, SnapshotSink, SnapshotTask, Transfer, Turn,
};
use crate::clock::{Clock, Now};
use crate::commands::Names;
use crate::config::cli::{self, Invocation};
use crate::config::rewrite::Scope;
use crate::config::{Config, Effect, Settings, load};
use crate::process::{self, Process};
use crate::rdb::file::Options;
use crate::resp::OwnedArgv;
use crate::resp::{Argv, Batch, Decoder, Limits};
use crate::storage::Written;

pub(crate) use content::content;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) record: Arc<Mutex<Record>>,
    /// How much of it is over when a client comes; its own commands take no time here.
    pub(crate) turn: Turn,
}

/// What the engine asked of the world.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) slept: Duration,
    pub(crate) log_delay: Duration,
    pub(crate) exit: Option<u8>,
    pub(crate) crashed: bool,
    /// Big values and databases given away to be freed.
    pub(crate) discarded: usize,
    pub(crate) saves: usize,
    /// What is on its way to other servers.
    pub(crate) transfers: Vec<Transfer>,
    /// What was recorded once [`Journal::start`](super::Journal::start) was called.
    pub(crate) log: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        let record = Arc::<Mutex<Record>>::default();
        let now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 0 };
        let host = Box::new(Recorder(Arc::clone(&record)));
        let config = config(&["--enable-debug-command", "yes"]);
        let engine = Engine::new(config, Names::default(), Seed::default(), host, now);
        Self { engine, now, record, turn: Turn::default() }
    }

    pub(crate) fn connect(&mut self) -> Slot {
        let address = Address::Tcp(([127, 0, 0, 1], 50_000).into());
        let slot = self.engine.connect(address.clone(), address, 7, self.now);
        slot.expect("fewer clients than maxclients")
    }

    /// Executes an inline command; the reply as it goes over the wire.
    pub(crate) fn run(&mut self, client: Slot, command: &str) -> String {
        let line = format!("{command}\r\n");
        let mut batch = Batch::default();
        let limits = self.engine.limits(client).decode;
        let (_, decoded) = Decoder::default().decode(line.as_bytes(), limits, &mut batch);
        decoded.expect("a well-formed command");
        assert_eq!(batch.len(), 1, "{command}");
        let mut out = Vec::new();
        let mut checked_out = self.engine.clients.check_out(client);
        let argv = batch.command(line.as_bytes(), 0);
        let clock = Clock::frozen(self.now);
        let mut run = Run::starting(self.now);
        self.engine.execute_one(&mut checked_out, argv, &mut out, &mut run, &clock);
        self.engine.end(&mut run, &mut checked_out, &clock);
        self.engine.broadcast_changes();
        self.engine.hand_over_journal();
        self.engine.clients.collect(client, &mut out);
        self.engine.clients.check_in(client, checked_out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Executes commands as a connection has them executed: how far that came, and the replies.
    pub(crate) fn execute(
        &mut self,
        client: Slot,
        commands: impl AsRef<[u8]>,
    ) -> (Progress, String) {
        let bytes = commands.as_ref();
        let mut batch = Batch::default();
        let limits = self.engine.limits(client).decode;
        let (_, decoded) = Decoder::default().decode(bytes, limits, &mut batch);
        decoded.expect("well-formed commands");
        let (mut out, clock) = (Vec::new(), Clock::frozen(self.now));
        let progress =
            self.engine.execute(client, &batch, bytes, &mut out, &clock, &mut self.turn.clone());
        (progress, String::from_utf8_lossy(&out).into_owned())
    }

    /// Executes an inline command as part of a log.
    pub(crate) fn replay(&mut self, command: &str) -> Result<(), String> {
        self.replay_words(&command.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn replay_words(&mut self, words: &[&str]) -> Result<(), String> {
        let argv: OwnedArgv = words.iter().map(|word| word.as_bytes()).collect();
        self.engine.replay(argv.view(), self.now, &Clock::frozen(self.now))
    }

    /// The commands that were logged since this was last asked.
    pub(crate) fn logged(&mut self) -> Vec<String> {
        let log = std::mem::take(&mut self.record.lock().expect("not poisoned").log);
        let mut lines = Vec::new();
        for_each_command(&log, |argv| {
            let words: Vec<_> = argv.iter().map(|word| word.escape_ascii().to_string()).collect();
            lines.push(words.join(" "));
        });
        lines
    }

    /// Executes a log.
    pub(crate) fn replay_all(&mut self, log: &[u8]) {
        let clock = Clock::frozen(self.now);
        for_each_command(log, |argv| {
            self.engine.replay(argv, self.now, &clock).expect("the commands are known");
        });
    }

    /// What others had the engine tell this client since it was last asked.
    pub(crate) fn messages(&mut self, client: Slot) -> String {
        let mut out = Vec::new();
        self.engine.collect(client, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(crate) fn pass_ms(&mut self, ms: i64) {
        self.now.us += ms * 1000;
    }

    /// Background work, in no time at all.
    pub(crate) fn tick(&mut self) -> Duration {
        self.engine.tick(self.now, || 0)
    }
}

fn for_each_command(log: &[u8], mut visit: impl FnMut(Argv<'_>)) {
    let limits = Limits { max_bulk_len: u64::MAX, authenticated: true };
    let mut rest = log;
    while !rest.is_empty() {
        let mut batch = Batch::default();
        let (taken, decoded) = Decoder::default().decode(rest, limits, &mut batch);
        decoded.expect("a log is well-formed");
        assert!(taken > 0, "a log ends with a whole command");
        (0..batch.len()).for_each(|at| visit(batch.command(rest, at)));
        rest = &rest[taken..];
    }
}

fn config(flags: &[&str]) -> Config {
    let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
    let Invocation::Run(launch) = cli::parse(&flags) else { panic!("these flags start a server") };
    load::load(&launch, &mut load::SystemFiles).expect("these flags are valid")
}

struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    fn note(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.0.lock().expect("no test panics while it holds the record"));
    }
}

impl Host for Recorder {
    fn rewrite_config(&mut self, _: &Config, _: Scope) -> Result<(), String> {
        Ok(())
    }

    fn apply(&mut self, _: &Effect, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn sleep(&mut self, time: Duration) {
        self.note(|record| record.slept += time);
    }

    fn exit(&mut self, status: u8) {
        self.note(|record| record.exit = Some(status));
    }

    fn transfer(&mut self, transfer: Transfer) {
        self.note(|record| record.transfers.push(transfer));
    }

    fn discard(&mut self, _: Garbage) {
        self.note(|record| record.discarded += 1);
    }

    fn log(&mut self, units: &[u8]) -> Option<Durable> {
        self.note(|record| record.log.extend_from_slice(units));
        None
    }

    fn sleep_before_log(&mut self, time: Duration) {
        self.note(|record| record.log_delay = time);
    }

    fn log_end(&self) -> Option<Durable> {
        None
    }

    fn log_status(&mut self) -> Option<LogStatus> {
        None
    }

    fn begin_snapshot(
        &mut self,
        _: SnapshotTask,
        _: &Settings,
        _: Options,
    ) -> Result<Box<dyn SnapshotSink>, String> {
        Err("this world has no disk".into())
    }

    fn call_off_snapshot(&mut self) {}

    fn save(&mut self, _: &Data<'_>, _: &Settings, _: Now) -> Result<(), String> {
        self.note(|record| record.saves += 1);
        Ok(())
    }

    fn reload_rdb(&mut self, _: &Settings, _: LoadMode) -> Result<Reload, String> {
        Err("this world has no disk".into())
    }

    fn reload_log(&mut self, _: &Settings) -> Result<Reload, String> {
        Err("this world has no disk".into())
    }

    fn written(&self) -> Written {
        Written::default()
    }

    fn crash(&mut self) {
        self.note(|record| record.crashed = true);
    }

    fn process(&self) -> Process {
        process::read()
    }

    fn wall_us(&self) -> i64 {
        1_700_000_000_000_000
    }
}
