//! The commands that wait for an element: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

use super::pop::{Many, take_one};
use super::transfer::{self, Transfer};
use super::{GROWS, LIST, POPS, pop_name};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::engine::{Args, Block, Call, Waits};
use crate::error::Result;
use crate::resp::Reply;
use crate::types::collection::Kind;
use crate::types::list::End;

const DOUBLE_TIMEOUT: &[(&str, &str)] =
    &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")];

const BPOP: Command = Command {
    syntax: "key [key ...] timeout:double",
    complexity: "O(N) where N is the number of provided keys.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::BLOCKING),
    keys: &[POPS.found(Find::Range { last: -2, step: 1 })],
    history: DOUBLE_TIMEOUT,
    ..LIST
};

pub(super) const BLPOP: Command = Command {
    name: "blpop",
    summary: "Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    handler: Some(|call| bpop(call, End::Head)),
    ..BPOP
};

pub(super) const BRPOP: Command = Command {
    name: "brpop",
    summary: "Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    handler: Some(|call| bpop(call, End::Tail)),
    ..BPOP
};

fn bpop(call: &mut Call<'_>, end: End) -> Result {
    let mut args = call.args();
    let keys = args.split_off(args.left() - 1)?;
    let deadline_ms = args.deadline(call.now)?;
    for key in keys {
        let head = |reply: &mut Reply<'_>| {
            reply.array(2);
            reply.bulk(key);
        };
        if take_one(call, key, end, head)? {
            call.log_as(&[pop_name(end), key]);
            return Ok(());
        }
    }
    wait_for(call, keys, deadline_ms)
}

pub(super) const BLMPOP: Command = Command {
    name: "blmpop",
    syntax: "timeout:double numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    summary: "Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    since: "7.0.0",
    flags: Flags::WRITE.union(Flags::BLOCKING),
    keys: &[
        KeySpec::one(2, Access::ReadWrite, &["access", "delete"]).found(Find::Count { step: 1 })
    ],
    handler: Some(blmpop),
    ..LIST
};

fn blmpop(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let mut timeout = args.split_off(1)?;
    let many = Many::parse(args)?;
    let deadline_ms = timeout.deadline(call.now)?;
    if many.take(call)? {
        return Ok(());
    }
    wait_for(call, many.keys, deadline_ms)
}

const BTRANSFER: Command =
    Command { flags: GROWS.union(Flags::BLOCKING), keys: transfer::KEYS, ..LIST };

pub(super) const BLMOVE: Command = Command {
    name: "blmove",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double",
    summary: "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved.",
    since: "6.2.0",
    handler: Some(|call| btransfer(call, Transfer::parse)),
    ..BTRANSFER
};

pub(super) const BRPOPLPUSH: Command = Command {
    name: "brpoplpush",
    syntax: "source destination timeout:double",
    summary: "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    since: "2.2.0",
    history: DOUBLE_TIMEOUT,
    handler: Some(|call| btransfer(call, Transfer::tail_to_head)),
    ..BTRANSFER
};

fn btransfer<'a>(call: &mut Call<'a>, parse: fn(&mut Args<'a>) -> Result<Transfer<'a>>) -> Result {
    let mut args = call.args();
    let transfer = parse(&mut args)?;
    let deadline_ms = args.deadline(call.now)?;
    args.finish()?;
    if transfer.execute(call)? {
        transfer.log(call);
        return Ok(());
    }
    if !call.may_block() {
        // Unlike what is waited for in vain, this is no array.
        call.reply.null();
        return Ok(());
    }
    block(call, vec![transfer.source.into()], deadline_ms)
}

/// Waits for one of `keys`; where that is not allowed it is as if the time were over.
fn wait_for(call: &mut Call<'_>, keys: Args<'_>, deadline_ms: Option<i64>) -> Result {
    if !call.may_block() {
        call.reply.null_array();
        return Ok(());
    }
    block(call, keys.map(Box::from).collect(), deadline_ms)
}

fn block(call: &mut Call<'_>, keys: Vec<Box<[u8]>>, deadline_ms: Option<i64>) -> Result {
    call.block(Block {
        keys,
        kind: Kind::List,
        deadline_ms,
        on_delete: false,
        waits: Waits::ForKeys,
    })
}
