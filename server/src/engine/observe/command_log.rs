//! COMMANDLOG and SLOWLOG: the last commands that took long, or whose request or reply was large.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::commands::{Flags, Id};
use crate::config::settings::LogLimits;
use crate::engine::{Client, Engine};
use crate::error::REDACTED;
use crate::resp::{Argv, OwnedArgv};

/// Arguments of a command that are kept; of more, the last place says how many there were.
const MAX_ARGS: usize = 32;
/// Bytes of an argument that are kept.
const MAX_ARG_LEN: usize = 128;
/// More than the frame of one argument, or of the whole command, takes in bytes.
const FRAME_LEN: usize = 24;

/// Why a command is logged; each has its own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Measured in microseconds.
    Slow,
    /// In bytes, as it came over the wire.
    LargeRequest,
    /// In bytes.
    LargeReply,
}

impl LogKind {
    pub const ALL: [Self; 3] = [Self::Slow, Self::LargeRequest, Self::LargeReply];

    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::LargeRequest => "large-request",
            Self::LargeReply => "large-reply",
        }
    }
}

/// A command in a log.
#[derive(Debug)]
pub struct Logged {
    pub id: u64,
    pub unix_s: i64,
    /// In the unit of the log's kind.
    pub value: u64,
    pub argv: OwnedArgv,
    pub address: String,
    pub client_name: Vec<u8>,
}

/// The three logs, the newest entries first.
#[derive(Debug, Default)]
pub struct CommandLog {
    logs: [Log; 3],
}

#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<Logged>,
    next_id: u64,
}

impl CommandLog {
    pub fn entries(&self, kind: LogKind) -> impl ExactSizeIterator<Item = &Logged> {
        self.logs[kind as usize].entries.iter()
    }

    pub fn reset(&mut self, kind: LogKind) {
        self.logs[kind as usize].entries.clear();
    }

    fn push(&mut self, kind: LogKind, max_len: usize, mut entry: Logged) {
        let log = &mut self.logs[kind as usize];
        entry.id = log.next_id;
        log.next_id += 1;
        log.entries.push_front(entry);
        log.entries.truncate(max_len);
    }
}

impl Engine {
    /// Whether a command may be large enough for a log, by what it is cheap to know of it.
    #[inline]
    pub(in crate::engine) fn may_be_large(&self, argv: Argv<'_>, reply_len: usize) -> bool {
        let limit = self.config.settings().command_log.large_bytes;
        (argv.reach_bytes() + (argv.len() + 1) * FRAME_LEN).max(reply_len) as u64 >= limit
    }

    /// Logs a command that is large.
    #[cold]
    pub(in crate::engine) fn log_large(
        &mut self,
        client: &Client,
        id: Id,
        argv: Argv<'_>,
        reply_len: usize,
        now: Now,
    ) {
        let [_, request, reply] = self.config.settings().command_log.limits;
        let request_len = argv.wire_len() as u64;
        self.log(LogKind::LargeRequest, request, request_len, client, id, argv, now);
        self.log(LogKind::LargeReply, reply, reply_len as u64, client, id, argv, now);
    }

    /// Logs a command that was slow.
    pub(super) fn log_slow(&mut self, client: &Client, id: Id, argv: Argv<'_>, us: u64, now: Now) {
        let [slow, ..] = self.config.settings().command_log.limits;
        self.log(LogKind::Slow, slow, us, client, id, argv, now);
    }

    #[expect(clippy::too_many_arguments, reason = "what an entry is made of")]
    fn log(
        &mut self,
        kind: LogKind,
        limits: LogLimits,
        value: u64,
        client: &Client,
        id: Id,
        argv: Argv<'_>,
        now: Now,
    ) {
        let is_shown = !id.entry().command.flags.contains(Flags::SKIP_SLOWLOG);
        if is_shown && limits.max_len > 0 && limits.threshold.is_some_and(|least| value >= least) {
            let entry = Logged {
                id: 0,
                unix_s: now.unix_ms().div_euclid(1000),
                value,
                argv: abridged(id, argv),
                address: client.address.to_string(),
                client_name: client.name.clone(),
            };
            self.command_log.push(kind, limits.max_len, entry);
        }
    }
}

/// The arguments as they are kept: without secrets, the long shortened, the many left out.
fn abridged(id: Id, argv: Argv<'_>) -> OwnedArgv {
    let kept = if argv.len() > MAX_ARGS { MAX_ARGS - 1 } else { argv.len() };
    let mut shown: Vec<Vec<u8>> = Vec::with_capacity(kept + 1);
    for (at, arg) in argv.iter().enumerate().take(kept) {
        let hidden = id.entry().command.hides(argv, at);
        shown.push(if hidden { REDACTED.to_vec() } else { shortened(arg) });
    }
    if argv.len() > kept {
        shown.push(format!("... ({} more arguments)", argv.len() - kept).into_bytes());
    }
    shown.iter().map(Vec::as_slice).collect()
}

fn shortened(arg: &[u8]) -> Vec<u8> {
    let Some((head, rest)) = arg.split_at_checked(MAX_ARG_LEN).filter(|(_, rest)| !rest.is_empty())
    else {
        return arg.to_vec();
    };
    let more = format!("... ({} more bytes)", rest.len());
    [head, more.as_bytes()].concat()
}
