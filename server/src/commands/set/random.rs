//! Members by chance: SPOP and SRANDMEMBER.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::remove::tell_removal;
use super::{SET, reply_member};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::Argv;
use crate::resp::OwnedArgv;
use crate::types::listpack::Item;
use crate::types::set::Set;
use crate::types::string::Digits;

pub(super) const SPOP: Command = Command {
    name: "spop",
    syntax: "key [count]",
    summary: "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.",
    complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])],
    handler: Some(spop),
    history: &[("3.2.0", "Added the `count` argument.")],
    tips: &["nondeterministic_output"],
    ..SET
};

fn spop(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let count = args.next();
    args.finish()?;
    let count = count.map(parse_count).transpose()?;
    let mut gone = OwnedArgv::default();
    let popped = match count {
        Some(0) => call.peek_as::<Set>(key)?.map(|_| 0),
        _ => pop(call, key, count, &mut gone)?,
    };
    match popped {
        Some(0) => call.reply.set(0),
        Some(popped) => {
            call.changed(key);
            call.dirty(popped as u64 - 1);
            log_removed(call, key, gone.view());
            tell_removal(call, "spop", key);
        }
        None if count.is_some() => call.reply.set(0),
        None => call.reply.null(),
    }
    Ok(())
}

fn parse_count(text: &[u8]) -> Result<usize> {
    let count = crate::number::parse_int(text).and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(error::must_be_positive)
}

/// As the removal of these members, or of the key where it went with them.
fn log_removed(call: &mut Call<'_>, key: &[u8], gone: Argv<'_>) {
    /// Members that one command of the log removes at most.
    const AT_ONCE: usize = 1024;
    if call.is_gone(key) {
        return call.log_as(&[b"UNLINK", key]);
    }
    for from in (0..gone.len()).step_by(AT_ONCE) {
        let count = AT_ONCE.min(gone.len() - from);
        let members = gone.iter().skip(from).take(count);
        call.log(2 + count, |line| line.word(b"SREM").word(key).words(members).done());
    }
}

/// Takes members out, into the reply: one, or `count` as a set. How many; `gone` gets them, too, for
/// the log.
fn pop(
    call: &mut Call<'_>,
    key: &[u8],
    count: Option<usize>,
    gone: &mut OwnedArgv,
) -> Result<Option<usize>> {
    let is_logged = call.is_logged();
    call.edit(key, |set: &mut Set, with| {
        let wanted = count.unwrap_or(1).min(set.len());
        if count.is_some() {
            with.reply.set(wanted);
        }
        let stays = wanted < set.len();
        let mut take = |member: Item<'_>| {
            reply_member(with.reply, member);
            if is_logged && stays {
                gone.push(member.write_to(&mut Digits::new()));
            }
        };
        set.pop(wanted, || with.rng.next_u64(), &mut take);
        wanted
    })
}

pub(super) const SRANDMEMBER: Command = Command {
    name: "srandmember",
    syntax: "key [count]",
    summary: "Gets one or multiple random members from a set.",
    complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(srandmember),
    history: &[("2.6.0", "Added the optional `count` argument.")],
    tips: &["nondeterministic_output"],
    ..SET
};

fn srandmember(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let count = args.next();
    args.finish()?;
    let count = count.map(parse_signed_count).transpose()?;
    let mut rng = Pcg64Mcg::seed_from_u64(call.rng().next_u64());
    let draw = || rng.next_u64();
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    match (set, count) {
        (None, Some(_)) => reply.array(0),
        (None, None) => reply.null(),
        (Some(set), None) => {
            set.random(draw).into_iter().for_each(|member| reply_member(reply, member));
        }
        (Some(set), Some(count @ ..0)) => {
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            reply.array(count);
            set.random_many(count, draw, |member| reply_member(reply, member));
        }
        (Some(set), Some(count)) => {
            let count = usize::try_from(count).map_or(set.len(), |count| count.min(set.len()));
            reply.array(count);
            set.random_distinct(count, draw, |member| reply_member(reply, member));
        }
    }
    Ok(())
}

/// Redis keeps the count's negative, too.
fn parse_signed_count(text: &[u8]) -> Result<i64> {
    let count = crate::number::parse_int(text).ok_or(error::NOT_INTEGER)?;
    match count {
        i64::MIN => Err(error::out_of_range_between(-i64::MAX, i64::MAX)),
        _ => Ok(count),
    }
}
