//! The sorted-set commands, one idea a file. Not here: how a sorted set is kept
//! (`types::sorted_set`), the geo commands, SORT.

pub(super) mod add;
mod remove;

mod member;

mod bounds;
mod count;
mod range;

mod pop;

mod combine;
mod source;

mod random;
mod scan;

use super::spec::{Command, Group};
use crate::resp::{Protocol, Reply};
use crate::types::sorted_set::Item;

pub(super) use range::store_and_reply;

pub(super) const COMMANDS: &[Command] = &[
    pop::BZMPOP,
    pop::BZPOPMAX,
    pop::BZPOPMIN,
    add::ZADD,
    member::ZCARD,
    count::ZCOUNT,
    combine::ZDIFF,
    combine::ZDIFFSTORE,
    add::ZINCRBY,
    combine::ZINTER,
    combine::ZINTERCARD,
    combine::ZINTERSTORE,
    count::ZLEXCOUNT,
    pop::ZMPOP,
    member::ZMSCORE,
    pop::ZPOPMAX,
    pop::ZPOPMIN,
    random::ZRANDMEMBER,
    range::ZRANGE,
    range::ZRANGEBYLEX,
    range::ZRANGEBYSCORE,
    range::ZRANGESTORE,
    member::ZRANK,
    remove::ZREM,
    remove::ZREMRANGEBYLEX,
    remove::ZREMRANGEBYRANK,
    remove::ZREMRANGEBYSCORE,
    range::ZREVRANGE,
    range::ZREVRANGEBYLEX,
    range::ZREVRANGEBYSCORE,
    member::ZREVRANK,
    scan::ZSCAN,
    member::ZSCORE,
    combine::ZUNION,
    combine::ZUNIONSTORE,
];

/// What all sorted-set commands share.
const SORTED_SET: Command = Command { group: Group::SortedSet, ..Command::BASE };

pub(super) fn reply_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(int) => reply.bulk_int(int),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// The header of `len` members, each with its score behind it: pairs in RESP3, flat in RESP2.
fn reply_len(reply: &mut Reply<'_>, len: usize, with_scores: bool) {
    let flat = with_scores && reply.protocol() == Protocol::Resp2;
    reply.array(if flat { len.saturating_mul(2) } else { len });
}

/// One of these members.
fn reply_pair(reply: &mut Reply<'_>, (member, score): (Item<'_>, f64), with_scores: bool) {
    if with_scores && reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    reply_member(reply, member);
    if with_scores {
        reply.double(score);
    }
}

fn reply_pairs<'s>(
    reply: &mut Reply<'_>,
    pairs: impl ExactSizeIterator<Item = (Item<'s>, f64)>,
    with_scores: bool,
) {
    reply_len(reply, pairs.len(), with_scores);
    pairs.for_each(|pair| reply_pair(reply, pair, with_scores));
}
