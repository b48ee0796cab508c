//! ZRANDMEMBER.

use std::collections::BTreeSet;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::{SORTED_SET, reply_len, reply_member, reply_pair, reply_pairs};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::sorted_set::SortedSet;

pub(super) const ZRANDMEMBER: Command = Command {
    name: "zrandmember",
    syntax: "key [count [WITHSCORES]]",
    summary: "Returns one or more random members from a sorted set.",
    complexity: "O(N) where N is the number of members returned",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrandmember),
    tips: &["nondeterministic_output"],
    ..SORTED_SET
};

fn zrandmember(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    if args.is_empty() {
        return one(call, key);
    }
    let count = args.int()?;
    if count == i64::MIN {
        return Err(error::out_of_range_between(-i64::MAX, i64::MAX));
    }
    let with_scores = args.keyword("withscores");
    args.finish()?;
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    let mut rng = Pcg64Mcg::seed_from_u64(call.rng().next_u64());
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    match (set, usize::try_from(count)) {
        (None, _) | (_, Ok(0)) => reply.array(0),
        (Some(set), Ok(count)) => distinct(reply, set, count, with_scores, &mut rng),
        (Some(set), Err(_)) => {
            let count = count.unsigned_abs() as usize;
            reply_len(reply, count, with_scores);
            for _ in 0..count {
                reply_at(reply, set, below(&mut rng, set.len()), with_scores);
            }
        }
    }
    Ok(())
}

fn one(call: &mut Call<'_>, key: &[u8]) -> Result {
    let mut rng = Pcg64Mcg::seed_from_u64(call.rng().next_u64());
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    match set.and_then(|set| set.get(below(&mut rng, set.len()))) {
        Some((member, _)) => reply_member(reply, member),
        None => reply.null(),
    }
    Ok(())
}

fn distinct(
    reply: &mut Reply<'_>,
    set: &SortedSet,
    count: usize,
    with_scores: bool,
    rng: &mut Pcg64Mcg,
) {
    let len = set.len();
    if count >= len {
        return reply_pairs(reply, set.iter(), with_scores);
    }
    reply_len(reply, count, with_scores);
    // Of most, those that are left out are drawn.
    if count > len / 2 {
        let left_out = draw(len - count, len, rng);
        let kept = set.iter().enumerate().filter(|(rank, _)| !left_out.contains(rank));
        return kept.for_each(|(_, pair)| reply_pair(reply, pair, with_scores));
    }
    for rank in draw(count, len, rng) {
        reply_at(reply, set, rank, with_scores);
    }
}

/// `count` different numbers below `len`, each choice as likely as any other (Floyd's algorithm).
fn draw(count: usize, len: usize, rng: &mut Pcg64Mcg) -> BTreeSet<usize> {
    let mut drawn = BTreeSet::new();
    for last in len - count..len {
        let number = below(rng, last + 1);
        if !drawn.insert(number) {
            drawn.insert(last);
        }
    }
    drawn
}

fn below(rng: &mut Pcg64Mcg, limit: usize) -> usize {
    ((u128::from(rng.next_u64()) * limit as u128) >> 64) as usize
}

fn reply_at(reply: &mut Reply<'_>, set: &SortedSet, rank: usize, with_scores: bool) {
    let pair = set.get(rank).expect("drawn below the length");
    reply_pair(reply, pair, with_scores);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_different_and_even() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut hits = [0; 10];
        for _ in 0..10_000 {
            let drawn = draw(3, 10, &mut rng);
            assert_eq!(drawn.len(), 3);
            drawn.into_iter().for_each(|number| hits[number] += 1);
        }
        assert!(hits.iter().all(|hits| (2_700..3_300).contains(hits)), "{hits:?}");
    }
}
