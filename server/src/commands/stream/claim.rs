//! XCLAIM and XAUTOCLAIM: pending entries change hands.

use super::group::consumer_created;
use super::logged::{self, Deliveries, Progress};
use super::{DELETES, FAST_WRITE, STREAM, UPDATES, ids, no_key_or_group, reply};
use crate::clock::Now;
use crate::commands::spec::Command;
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};
use crate::resp::Reply;
use crate::types::stream::{ConsumerId, Group, Log, Nack, Parts, Stream, StreamId};

pub(super) const XCLAIM: Command = Command {
    name: "xclaim",
    syntax: "key group consumer min-idle-time:string id [id ...] [IDLE ms:integer] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
    summary: "Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered to a consumer group member.",
    complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
    flags: FAST_WRITE,
    keys: &[UPDATES],
    handler: Some(xclaim),
    tips: &["nondeterministic_output"],
    ..STREAM
};

fn xclaim(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, consumer) = (args.required()?, args.required()?, args.required()?);
    // Redis complains about the key and the group before the rest.
    let found = call.peek_as::<Stream>(key)?;
    if found.as_deref().and_then(|stream| stream.groups().group(name)).is_none() {
        return Err(no_key_or_group(key, name));
    }
    let wanted = Claim::parse(args, call.now)?;
    let ids = wanted.ids;
    let done = edit_group(call, key, name, consumer, |claimer, log, group, reply| {
        let Claim { options, last_id, .. } = &wanted;
        claimer.changes += u64::from(*last_id > group.last_id);
        group.last_id = group.last_id.max(*last_id);
        reply::counted(reply, |reply| {
            ids.filter_map(|text| ids::strict(text).ok())
                .filter(|id| claimer.claim(log, group, *id, options, reply) == Outcome::Claimed)
                .count()
        });
    })?;
    call.dirty(done.changes);
    Ok(())
}

/// What XCLAIM asks for.
struct Claim<'a> {
    /// Ids as they were given; they have been read once and are fine.
    ids: Args<'a>,
    options: Options,
    last_id: StreamId,
}

/// How an entry is claimed.
struct Options {
    min_idle_ms: i64,
    delivered_ms: i64,
    deliveries: Option<u64>,
    /// Also what is not pending yet.
    force: bool,
    just_id: bool,
}

impl<'a> Claim<'a> {
    fn parse(mut args: Args<'a>, now: Now) -> Result<Self> {
        let min_idle_ms = args.int_or(bad_min_idle("XCLAIM"))?.max(0);
        let count = args.take_while(|text| ids::strict(text).is_ok()).count();
        let ids = args.split_off(count)?;
        let delivered_ms = now.ms();
        let options =
            Options { min_idle_ms, delivered_ms, deliveries: None, force: false, just_id: false };
        let mut claim = Self { ids, options, last_id: StreamId::MIN };
        while let Some(word) = args.peek() {
            claim.parse_option(&mut args, now)?.ok_or_else(|| unrecognized(word))?;
        }
        Ok(claim)
    }

    fn parse_option(&mut self, args: &mut Args<'_>, now: Now) -> Result<Option<()>> {
        let options = &mut self.options;
        let has_value = args.left() >= 2;
        if args.keyword("force") {
            options.force = true;
        } else if args.keyword("justid") {
            options.just_id = true;
        } else if has_value && args.keyword("idle") {
            let idle_ms = args.int_or(bad_option("IDLE"))?;
            options.delivered_ms = sane(now.unix_ms().wrapping_sub(idle_ms), now);
        } else if has_value && args.keyword("time") {
            options.delivered_ms = sane(args.int_or(bad_option("TIME"))?, now);
        } else if has_value && args.keyword("retrycount") {
            options.deliveries = u64::try_from(args.int_or(bad_option("RETRYCOUNT"))?).ok();
        } else if has_value && args.keyword("lastid") {
            self.last_id = ids::strict(args.required()?)?;
        } else {
            return Ok(None);
        }
        Ok(Some(()))
    }
}

/// A time of delivery that lies in the past. Clients may reckon it by clocks of their own, so what
/// cannot be is no error: it is taken as now.
fn sane(unix_ms: i64, now: Now) -> i64 {
    if (0..=now.unix_ms()).contains(&unix_ms) { now.deadline_of_unix_ms(unix_ms) } else { now.ms() }
}

fn bad_min_idle(command: &str) -> Error {
    Error::owned(format!("ERR Invalid min-idle-time argument for {command}"))
}

fn bad_option(name: &str) -> Error {
    Error::owned(format!("ERR Invalid {name} option argument for XCLAIM"))
}

fn unrecognized(word: &[u8]) -> Error {
    Error::owned(format!("ERR Unrecognized XCLAIM option '{}'", error::printable(word)))
}

/// Lets a consumer, which is made if need be, claim entries of its group.
fn edit_group(
    call: &mut Call<'_>,
    key: &[u8],
    name: &[u8],
    consumer: &[u8],
    edit: impl FnOnce(&mut Claimer, &Log, &mut Group, &mut Reply<'_>),
) -> Result<Claimer> {
    let now_ms = call.now.ms();
    let claimed = call.edit(key, |stream: &mut Stream, with| {
        let Parts { log, groups } = stream.parts_mut();
        let group = groups.group_mut(name)?;
        let (id, is_new) = group.find_or_add_consumer(consumer, now_ms);
        group.consumer_mut(id).seen_ms = now_ms;
        let before = Progress::of(group);
        let outcome = Deliveries::default();
        let mut claimer = Claimer { consumer: id, is_new, now_ms, changes: 0, outcome };
        edit(&mut claimer, log, group, with.reply);
        let progress = Some(Progress::of(group)).filter(|now| *now != before);
        Some((claimer, progress))
    })?;
    let (claimer, progress) = claimed.flatten().ok_or_else(|| no_key_or_group(key, name))?;
    if claimer.is_new {
        consumer_created(call, key);
        logged::consumer_created(call, key, name, consumer);
    }
    claimer.outcome.log(call, key, name, consumer);
    if let Some(progress) = progress {
        progress.log(call, key, name);
    }
    call.log_nothing();
    Ok(claimer)
}

/// The consumer that claims, and what it changed.
struct Claimer {
    consumer: ConsumerId,
    is_new: bool,
    now_ms: i64,
    changes: u64,
    /// For the log.
    outcome: Deliveries,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Claimed,
    /// Not pending, or not idle for long enough.
    Left,
    /// No longer in the stream, and so no longer pending.
    Gone,
}

impl Claimer {
    /// Claims an entry, if it may be, and writes it into the reply.
    fn claim(
        &mut self,
        log: &Log,
        group: &mut Group,
        id: StreamId,
        options: &Options,
        reply: &mut Reply<'_>,
    ) -> Outcome {
        let before = group.nack(id).copied();
        let Some(entry) = log.range(id..=id).next() else {
            if group.forget(id) {
                self.changes += 1;
                self.outcome.forgotten(id);
            }
            return Outcome::Gone;
        };
        let deliveries = match before {
            Some(nack)
                if options.min_idle_ms > 0
                    && self.now_ms - nack.delivered_ms < options.min_idle_ms =>
            {
                return Outcome::Left;
            }
            Some(nack) => nack.deliveries,
            None if options.force => 1,
            None => return Outcome::Left,
        };
        let nack = Nack {
            consumer: self.consumer,
            delivered_ms: options.delivered_ms,
            deliveries: options
                .deliveries
                .unwrap_or(deliveries.saturating_add(u64::from(!options.just_id))),
        };
        group.assign(id, nack);
        self.outcome.delivered(id, &nack);
        group.consumer_mut(self.consumer).active_ms = Some(self.now_ms);
        self.changes += 1;
        if options.just_id {
            reply::id(reply, id);
        } else {
            reply::entry(reply, entry);
        }
        Outcome::Claimed
    }
}

pub(super) const XAUTOCLAIM: Command = Command {
    name: "xautoclaim",
    syntax: "key group consumer min-idle-time:string start:string [COUNT count] [JUSTID]",
    summary: "Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to a consumer group member.",
    complexity: "O(1) if COUNT is small.",
    since: "6.2.0",
    flags: FAST_WRITE,
    keys: &[DELETES],
    handler: Some(xautoclaim),
    history: &[(
        "7.0.0",
        "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
    )],
    tips: &["nondeterministic_output"],
    ..STREAM
};

/// XAUTOCLAIM looks at so many pending entries for each one that it may return.
const ATTEMPTS: i64 = 10;

fn xautoclaim(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, consumer) = (args.required()?, args.required()?, args.required()?);
    let min_idle_ms = args.int_or(bad_min_idle("XAUTOCLAIM"))?.max(0);
    let start = ids::start(args.required()?)?;
    let (count, just_id) = autoclaim_options(args)?;
    let delivered_ms = call.now.ms();
    let options = Options { min_idle_ms, delivered_ms, deliveries: None, force: false, just_id };
    let done = edit_group(call, key, name, consumer, |claimer, log, group, reply| {
        claim_from(claimer, log, group, start, count, &options, reply);
    })?;
    call.dirty(done.changes);
    Ok(())
}

fn autoclaim_options(mut args: Args<'_>) -> Result<(i64, bool)> {
    /// Redis' limit: room for the ids, and the attempts in a long.
    const MAX_COUNT: i64 = i64::MAX / 16;
    let (mut count, mut just_id) = (100, false);
    while !args.is_empty() {
        if args.left() >= 2 && args.keyword("count") {
            count = args.int_or(error::COUNT_NOT_POSITIVE)?;
            if !(1..=MAX_COUNT).contains(&count) {
                return Err(error::COUNT_NOT_POSITIVE);
            }
        } else if args.keyword("justid") {
            just_id = true;
        } else {
            return Err(error::SYNTAX);
        }
    }
    Ok((count, just_id))
}

/// Claims up to `count` entries from `start` on; tells them, where to go on, and which are gone.
fn claim_from(
    claimer: &mut Claimer,
    log: &Log,
    group: &mut Group,
    start: StreamId,
    mut count: i64,
    options: &Options,
    reply: &mut Reply<'_>,
) {
    reply.array(3);
    let top = reply.position();
    let mut attempts = count * ATTEMPTS;
    let mut next = next_pending(group, Some(start));
    let mut gone = Vec::new();
    reply::counted(reply, |reply| {
        let mut claimed = 0;
        while let Some(id) = next
            && attempts > 0
            && count > 0
        {
            attempts -= 1;
            let outcome = claimer.claim(log, group, id, options, reply);
            match outcome {
                Outcome::Claimed => claimed += 1,
                Outcome::Gone => gone.push(id),
                Outcome::Left => {}
            }
            count -= i64::from(outcome != Outcome::Left);
            next = next_pending(group, id.next());
        }
        claimed
    });
    reply.insert(top, |reply| reply::id(reply, next.unwrap_or(StreamId::MIN)));
    reply.array(gone.len());
    gone.into_iter().for_each(|id| reply::id(reply, id));
}

fn next_pending(group: &Group, from: Option<StreamId>) -> Option<StreamId> {
    group.pending(from?..).next().map(|(id, _)| id)
}
