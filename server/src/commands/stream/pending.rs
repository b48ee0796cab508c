//! XPENDING: what was delivered and not yet acknowledged.

use std::ops::RangeInclusive;

use super::{READS, STREAM, ids, no_key_or_group, reply};
use crate::commands::spec::{Command, Flags};
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::stream::{Group, Nack, Stream, StreamId};

pub(super) const XPENDING: Command = Command {
    name: "xpending",
    syntax: "key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]",
    summary: "Returns the information and entries from a stream consumer group's pending entries list.",
    complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(xpending),
    history: &[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")],
    tips: &["nondeterministic_output"],
    ..STREAM
};

fn xpending(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name) = (args.required()?, args.required()?);
    let filter = if args.is_empty() { None } else { Some(Filter::parse(args)?) };
    let now_ms = call.now.ms();
    let (found, reply) = call.read_as_and_reply::<Stream>(key)?;
    let found = found.as_deref();
    let group = found.and_then(|stream| stream.groups().group(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    match filter {
        Some(filter) => filter.list(reply, group, now_ms),
        None => summarize(reply, group),
    }
    Ok(())
}

/// How many entries are pending, from which id to which, and how many for whom.
fn summarize(reply: &mut Reply<'_>, group: &Group) {
    reply.array(4);
    reply.len(group.pending_len());
    let mut pending = group.pending(..).map(|(id, _)| id);
    let Some(first) = pending.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply::id(reply, first);
    reply::id(reply, pending.next_back().unwrap_or(first));
    let busy = || group.consumers().iter().filter(|consumer| !consumer.pending().is_empty());
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending().len() as i64);
    }
}

/// Which pending entries are asked for.
struct Filter<'a> {
    min_idle_ms: i64,
    ids: RangeInclusive<StreamId>,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(mut args: Args<'a>) -> Result<Self> {
        if !(3..=6).contains(&args.left()) {
            return Err(error::SYNTAX);
        }
        let min_idle_ms = if args.keyword("idle") { args.int()? } else { 0 };
        if args.left() < 3 {
            return Err(error::SYNTAX);
        }
        let (start, end) = (args.required()?, args.required()?);
        let count = usize::try_from(args.int()?).unwrap_or(0);
        let ids = ids::start(start)?..=ids::end(end)?;
        // Redis looks no further than the consumer's name.
        Ok(Self { min_idle_ms, ids, count, consumer: args.next() })
    }

    fn list(&self, reply: &mut Reply<'_>, group: &Group, now_ms: i64) {
        if self.ids.is_empty() {
            return reply.array(0);
        }
        let matches = |(_, nack): &(StreamId, &Nack)| {
            self.min_idle_ms == 0 || now_ms - nack.delivered_ms >= self.min_idle_ms
        };
        match self.consumer {
            None => {
                let list = group.pending(self.ids.clone()).filter(matches);
                write(reply, group, list.take(self.count), now_ms);
            }
            Some(name) => {
                let consumer = group.consumers().find(name);
                let consumer = consumer.map(|id| group.consumers().consumer(id));
                let own = consumer.into_iter().flat_map(|it| it.pending().range(self.ids.clone()));
                let list = own.filter_map(|id| Some((*id, group.nack(*id)?))).filter(matches);
                write(reply, group, list.take(self.count), now_ms);
            }
        }
    }
}

fn write<'g>(
    reply: &mut Reply<'_>,
    group: &Group,
    list: impl Iterator<Item = (StreamId, &'g Nack)>,
    now_ms: i64,
) {
    reply::counted(reply, |reply| {
        list.map(|(id, nack)| {
            reply.array(4);
            reply::id(reply, id);
            reply.bulk(group.consumers().consumer(nack.consumer).name());
            reply.int((now_ms - nack.delivered_ms).max(0));
            reply.int(nack.deliveries as i64);
        })
        .count()
    });
}
