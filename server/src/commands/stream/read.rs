//! XREAD and XREADGROUP: entries that come after an id, of several streams, waited for if need be.

use super::group::consumer_created;
use super::logged::{self, Deliveries, Progress};
use super::{STREAM, ids, no_key_or_group, reply};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::engine::{Args, Block, Call, Waits};
use crate::error::{self, Error, Result};
use crate::keyspace::Kind;
use crate::resp::{Protocol, Reply};
use crate::types::stream::{ConsumerId, Group, Log, Nack, Parts, Stream, StreamId, progress};

const STREAMS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::FirstHalf);

pub(super) const XREAD: Command = Command {
    name: "xread",
    syntax: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    summary: "Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message is available otherwise.",
    complexity: "",
    flags: Flags::READONLY.union(Flags::BLOCKING),
    keys: &[STREAMS.behind("STREAMS")],
    handler: Some(xread),
    ..STREAM
};

fn xread(call: &mut Call<'_>) -> Result {
    let request = Request::parse(call, Reader::Anyone)?;
    let mut wanted = Vec::with_capacity(request.keys.left());
    for (key, id) in request.keys.zip(request.ids) {
        let found = call.read_as::<Stream>(key)?;
        let found = found.as_deref();
        let after = position(found.map(Stream::log), id)?;
        let last = found.and_then(|stream| stream.log().last_entry_id());
        wanted.push(Wanted { key, after, is_ready: last > Some(after) });
    }
    if !request.begin_reply(call, &wanted) {
        return request.wait(call, &wanted);
    }
    for Wanted { key, after, .. } in wanted.into_iter().filter(|stream| stream.is_ready) {
        begin_stream(&mut call.reply, key);
        let (found, reply) = call.read_as_and_reply::<Stream>(key)?;
        let found = found.as_deref();
        let log = found.map(Stream::log).ok_or(error::NO_SUCH_KEY)?;
        let next = after.next().unwrap_or(StreamId::MAX);
        reply::entries(reply, log.range(next..=StreamId::MAX), request.count);
    }
    Ok(())
}

/// The id behind which XREAD's client wants entries.
fn position(log: Option<&Log>, id: &[u8]) -> Result<StreamId> {
    match id {
        // What will be added from now on.
        b"$" => Ok(log.map_or(StreamId::MIN, Log::last_id)),
        // The last entry.
        b"+" => Ok(log
            .filter(|log| log.len() > 0)
            .and_then(|log| log.last_id().previous())
            .unwrap_or(StreamId::MIN)),
        b">" => Err(error::NEW_ID_WITHOUT_GROUP),
        id => ids::strict(id),
    }
}

pub(super) const XREADGROUP: Command = Command {
    name: "xreadgroup",
    syntax: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
    summary: "Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is available otherwise.",
    complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
    flags: Flags::WRITE.union(Flags::BLOCKING),
    keys: &[KeySpec { begin: 4, ..STREAMS.behind("STREAMS") }],
    handler: Some(xreadgroup),
    ..STREAM
};

fn xreadgroup(call: &mut Call<'_>) -> Result {
    let request = Request::parse(call, Reader::Consumer)?;
    let (group, consumer) = request.group.ok_or(error::MISSING_GROUP)?;
    let mut positions = Vec::with_capacity(request.keys.left());
    for (key, id) in request.keys.zip(request.ids) {
        let found = call.read_as::<Stream>(key)?;
        let found = found.as_deref();
        if found.and_then(|stream| stream.groups().group(group)).is_none() {
            return Err(in_xreadgroup(&no_key_or_group(key, group)));
        }
        positions.push(Position::parse(id)?);
    }
    // What is delivered is logged as such.
    call.log_nothing();
    let mut wanted = Vec::with_capacity(positions.len());
    for (key, position) in request.keys.zip(&positions) {
        wanted.push(meet_consumer(call, key, group, consumer, *position)?);
    }
    if !request.begin_reply(call, &wanted) {
        return request.wait(call, &wanted);
    }
    let (count, no_ack, now_ms) = (request.count, request.no_ack, call.now.ms());
    for (stream, position) in wanted.iter().zip(positions).filter(|(stream, _)| stream.is_ready) {
        let key = stream.key;
        let mut delivery = Delivery { count, no_ack, now_ms, outcome: Deliveries::default() };
        begin_stream(&mut call.reply, key);
        let progress = call.edit(key, |stream: &mut Stream, with| {
            let Parts { log, groups } = stream.parts_mut();
            let group = groups.group_mut(group)?;
            let (consumer, _) = group.find_or_add_consumer(consumer, now_ms);
            let before = Progress::of(group);
            delivery.write(with.reply, log, group, consumer, position);
            Some(Progress::of(group)).filter(|now| *now != before)
        })?;
        delivery.outcome.log(call, key, group, consumer);
        if let Some(progress) = progress.flatten() {
            progress.log(call, key, group);
        }
        call.dirty(1);
    }
    Ok(())
}

fn in_xreadgroup(error: &Error) -> Error {
    Error::owned(format!("{} in XREADGROUP with GROUP option", error.as_str()))
}

/// Where a consumer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// `>`: what was delivered to nobody.
    New,
    /// What is pending for the consumer, behind this id.
    History(StreamId),
}

impl Position {
    fn parse(id: &[u8]) -> Result<Self> {
        match id {
            b">" => Ok(Self::New),
            b"$" => Err(error::meaningless_id('$')),
            b"+" => Err(error::meaningless_id('+')),
            id => ids::strict(id).map(Self::History),
        }
    }
}

/// Notes that the consumer has asked, and looks whether there is something for it.
fn meet_consumer<'k>(
    call: &mut Call<'_>,
    key: &'k [u8],
    name: &[u8],
    consumer: &[u8],
    position: Position,
) -> Result<Wanted<'k>> {
    let now_ms = call.now.ms();
    let met = call.edit(key, |stream: &mut Stream, _| {
        let Parts { log, groups } = stream.parts_mut();
        let group = groups.group_mut(name)?;
        let (consumer, is_new) = group.find_or_add_consumer(consumer, now_ms);
        group.consumer_mut(consumer).seen_ms = now_ms;
        let has_new = || log.last_entry_id() > Some(group.last_id);
        Some((is_new, position != Position::New || has_new()))
    })?;
    let (is_new, is_ready) = met.flatten().unwrap_or_default();
    if is_new {
        consumer_created(call, key);
        logged::consumer_created(call, key, name, consumer);
    }
    Ok(Wanted { key, after: StreamId::MIN, is_ready })
}

/// How a consumer gets its entries.
struct Delivery {
    count: Option<usize>,
    no_ack: bool,
    now_ms: i64,
    /// For the log.
    outcome: Deliveries,
}

impl Delivery {
    fn write(
        &mut self,
        reply: &mut Reply<'_>,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerId,
        position: Position,
    ) {
        let count = self.count.unwrap_or(usize::MAX);
        reply::counted(reply, |reply| match position {
            Position::New => self.deliver(reply, log, group, consumer, count),
            Position::History(after) => self.repeat(reply, log, group, consumer, after, count),
        });
    }

    fn deliver(
        &mut self,
        reply: &mut Reply<'_>,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerId,
        count: usize,
    ) -> usize {
        let Some(next) = group.last_id.next() else { return 0 };
        let mut delivered = 0;
        for entry in log.range(next..=StreamId::MAX).take(count) {
            progress::advance(log, group, entry.id);
            if !self.no_ack {
                let nack = Nack { consumer, delivered_ms: self.now_ms, deliveries: 1 };
                group.assign(entry.id, nack);
                self.outcome.delivered(entry.id, &nack);
                group.consumer_mut(consumer).active_ms = Some(self.now_ms);
            }
            reply::entry(reply, entry);
            delivered += 1;
        }
        delivered
    }

    /// Delivers once more what is pending; of entries that are gone, the id alone.
    fn repeat(
        &mut self,
        reply: &mut Reply<'_>,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerId,
        after: StreamId,
        count: usize,
    ) -> usize {
        let Some(next) = after.next() else { return 0 };
        let pending = group.consumers().consumer(consumer).pending();
        let ids: Vec<StreamId> = pending.range(next..).take(count).copied().collect();
        for &id in &ids {
            match log.range(id..=id).next() {
                Some(entry) => {
                    if let Some(nack) = group.redeliver(id, self.now_ms) {
                        self.outcome.delivered(id, nack);
                    }
                    reply::entry(reply, entry);
                }
                None => {
                    reply.array(2);
                    reply::id(reply, id);
                    reply.null_array();
                }
            }
        }
        ids.len()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Anyone,
    Consumer,
}

/// A command line of either.
struct Request<'a> {
    count: Option<usize>,
    /// `None` without BLOCK; when the waiting ends, or `None` within for never.
    deadline_ms: Option<Option<i64>>,
    /// The names of the group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    keys: Args<'a>,
    ids: Args<'a>,
}

impl<'a> Request<'a> {
    fn parse(call: &Call<'a>, reader: Reader) -> Result<Self> {
        let mut args = call.args();
        let (mut count, mut deadline_ms, mut group, mut no_ack) = (None, None, None, false);
        while !args.is_empty() {
            let behind = args.left() - 1;
            if behind >= 1 && args.keyword("block") {
                deadline_ms = Some(args.deadline_ms(call.now)?);
            } else if behind >= 1 && args.keyword("count") {
                count = usize::try_from(args.int()?).ok().filter(|&count| count > 0);
            } else if behind >= 1 && args.keyword("streams") {
                let (keys, ids) = halves(args, reader)?;
                if reader == Reader::Consumer && group.is_none() {
                    return Err(error::MISSING_GROUP);
                }
                return Ok(Self { count, deadline_ms, group, no_ack, keys, ids });
            } else if behind >= 2 && args.keyword("group") {
                only_for_groups("GROUP", reader)?;
                group = Some((args.required()?, args.required()?));
            } else if args.keyword("noack") {
                only_for_groups("NOACK", reader)?;
                no_ack = true;
            } else {
                break;
            }
        }
        Err(error::SYNTAX)
    }

    /// Begins the reply if there is something for it.
    fn begin_reply(&self, call: &mut Call<'_>, wanted: &[Wanted<'_>]) -> bool {
        let ready = wanted.iter().filter(|stream| stream.is_ready).count();
        match (ready, call.reply.protocol()) {
            (0, _) => {}
            (_, Protocol::Resp2) => call.reply.array(ready),
            (_, Protocol::Resp3) => call.reply.map(ready),
        }
        ready > 0
    }

    /// Waits for entries, if the client wants that and may; else there is no reply to be had.
    fn wait(&self, call: &mut Call<'_>, wanted: &[Wanted<'_>]) -> Result {
        let Some(deadline_ms) = self.deadline_ms.filter(|_| call.may_block()) else {
            call.reply.null_array();
            return Ok(());
        };
        let keys = wanted.iter().map(|stream| stream.key.into()).collect();
        let on_delete = self.group.is_some();
        // `$` is the last id of today, also when the command is tried again.
        let at_ids = call.argv.len() - wanted.len();
        let ids: Vec<String> = wanted.iter().map(|stream| stream.after.to_string()).collect();
        let words = call.argv.iter().enumerate().map(|(at, word)| match at.checked_sub(at_ids) {
            Some(nth) if word == b"$" => ids[nth].as_bytes(),
            _ => word,
        });
        call.block_as(
            Block { keys, kind: Kind::Stream, deadline_ms, on_delete, waits: Waits::ForKeys },
            words,
        )
    }
}

/// The keys and, behind them, as many ids.
fn halves(mut args: Args<'_>, reader: Reader) -> Result<(Args<'_>, Args<'_>)> {
    if !args.left().is_multiple_of(2) {
        return Err(match reader {
            Reader::Anyone => error::unbalanced_streams("xread", '$'),
            Reader::Consumer => error::unbalanced_streams("xreadgroup", '>'),
        });
    }
    let keys = args.split_off(args.left() / 2)?;
    Ok((keys, args))
}

fn only_for_groups(option: &str, reader: Reader) -> Result {
    match reader {
        Reader::Anyone => Err(error::only_for_xreadgroup(option)),
        Reader::Consumer => Ok(()),
    }
}

/// One stream of a request.
struct Wanted<'a> {
    key: &'a [u8],
    after: StreamId,
    is_ready: bool,
}

/// In RESP2, streams are pairs in an array; in RESP3, a map.
fn begin_stream(reply: &mut Reply<'_>, key: &[u8]) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}
