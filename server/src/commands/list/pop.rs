//! LPOP, RPOP and LMPOP.

use super::{LIST, POPS, end, limits, pop_name, popped, reply_item, reply_items};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::list::{End, Limits, List};

const POP: Command = Command {
    syntax: "key [count]",
    complexity: "O(N) where N is the number of elements returned",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[POPS],
    history: &[("6.2.0", "Added the `count` argument.")],
    ..LIST
};

pub(super) const LPOP: Command = Command {
    name: "lpop",
    summary: "Returns and removes one or more elements from the beginning of a list. Deletes the list if the last element was popped.",
    handler: Some(|call| pop(call, End::Head)),
    ..POP
};

pub(super) const RPOP: Command = Command {
    name: "rpop",
    summary: "Returns and removes one or more elements from the end of a list. Deletes the list if the last element was popped.",
    handler: Some(|call| pop(call, End::Tail)),
    ..POP
};

fn pop(call: &mut Call<'_>, end: End) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    match args.left() {
        0 => pop_one(call, key, end),
        1 => pop_some(call, key, end, args),
        _ => Err(call.wrong_arity()),
    }
}

fn pop_one(call: &mut Call<'_>, key: &[u8], end: End) -> Result {
    if !take_one(call, key, end, |_| ())? {
        call.reply.null();
    }
    Ok(())
}

fn pop_some(call: &mut Call<'_>, key: &[u8], end: End, mut args: Args<'_>) -> Result {
    let count = args.int_or(error::must_be_positive())?;
    let count = usize::try_from(count).map_err(|_| error::must_be_positive())?;
    if count == 0 {
        match call.peek_as::<List>(key)? {
            Some(_) => call.reply.array(0),
            None => call.reply.null_array(),
        }
        return Ok(());
    }
    if take_some(call, key, end, count, |_| ())?.is_none() {
        call.reply.null_array();
    }
    Ok(())
}

/// Takes an element off an end of the list at `key`, if there is one, and replies with it behind
/// `head`.
pub(super) fn take_one(
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    head: impl FnOnce(&mut Reply<'_>),
) -> Result<bool> {
    let limits = limits(call);
    let is_gone = call.edit(key, |list: &mut List, with| {
        head(with.reply);
        list.peek(end).into_iter().for_each(|item| reply_item(with.reply, item));
        list.drop_end(end);
        list.shrink(limits);
        list.len() == 0
    })?;
    if let Some(is_gone) = is_gone {
        popped(call, key, end, 1, is_gone);
    }
    Ok(is_gone.is_some())
}

/// The same with an array of up to `count` elements; how many there were.
pub(super) fn take_some(
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    count: usize,
    head: impl FnOnce(&mut Reply<'_>),
) -> Result<Option<usize>> {
    let limits = limits(call);
    let taken = call.edit(key, |list: &mut List, with| {
        head(with.reply);
        (take_range(list, end, count, limits, with.reply), list.len() == 0)
    })?;
    if let Some((count, is_gone)) = taken {
        popped(call, key, end, count, is_gone);
    }
    Ok(taken.map(|(count, _)| count))
}

fn take_range(
    list: &mut List,
    end: End,
    count: usize,
    limits: Limits,
    reply: &mut Reply<'_>,
) -> usize {
    let count = count.min(list.len());
    let start = if end == End::Head { 0 } else { list.len() - count };
    reply_items(reply, list, start..start + count, end);
    list.remove_range(start, count);
    list.shrink(limits);
    count
}

pub(super) const LMPOP: Command = Command {
    name: "lmpop",
    syntax: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    summary: "Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    since: "7.0.0",
    flags: Flags::WRITE,
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "delete"]).found(Find::Count { step: 1 })
    ],
    handler: Some(lmpop),
    ..LIST
};

fn lmpop(call: &mut Call<'_>) -> Result {
    let many = Many::parse(call.args())?;
    if !many.take(call)? {
        call.reply.null_array();
    }
    Ok(())
}

/// `numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
pub(super) struct Many<'a> {
    pub(super) keys: Args<'a>,
    end: End,
    count: usize,
}

impl<'a> Many<'a> {
    pub(super) fn parse(mut args: Args<'a>) -> Result<Self> {
        let numkeys = positive(&mut args, error::NUMKEYS_NOT_POSITIVE)?;
        let keys = args.split_off(numkeys)?;
        let end = end(&mut args)?;
        let count = if args.left() > 1 && args.keyword("count") {
            positive(&mut args, error::POP_COUNT_NOT_POSITIVE)?
        } else {
            1
        };
        args.finish()?;
        Ok(Self { keys, end, count })
    }

    /// Takes from the first list that there is, and replies with its key and the elements.
    pub(super) fn take(&self, call: &mut Call<'_>) -> Result<bool> {
        for key in self.keys {
            let head = |reply: &mut Reply<'_>| {
                reply.array(2);
                reply.bulk(key);
            };
            if let Some(count) = take_some(call, key, self.end, self.count, head)? {
                let name = pop_name(self.end);
                call.log(3, |line| line.word(name).word(key).int(count as i64).done());
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn positive(args: &mut Args<'_>, otherwise: error::Error) -> Result<usize> {
    let value = args.int_or(otherwise.clone())?;
    usize::try_from(value).ok().filter(|&value| value > 0).ok_or(otherwise)
}
