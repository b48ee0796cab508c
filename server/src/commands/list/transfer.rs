//! LMOVE and RPOPLPUSH: from an end of one list to an end of another, or of the same.

use super::{GROWS, LIST, POPS, end, limits, popped, pushed};
use crate::commands::spec::{Access, Command, KeySpec};
use crate::engine::{Args, Call};
use crate::error::Result;
use crate::types::list::{End, List};

pub(super) const KEYS: &[KeySpec] = &[POPS, KeySpec::one(2, Access::ReadWrite, &["insert"])];

pub(super) const LMOVE: Command = Command {
    name: "lmove",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    summary: "Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.",
    since: "6.2.0",
    flags: GROWS,
    keys: KEYS,
    handler: Some(lmove),
    ..LIST
};

fn lmove(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let transfer = Transfer::parse(&mut args)?;
    args.finish()?;
    transfer_or_null(call, transfer)
}

pub(super) const RPOPLPUSH: Command = Command {
    name: "rpoplpush",
    syntax: "source destination",
    summary: "Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.",
    since: "1.2.0",
    flags: GROWS,
    keys: KEYS,
    handler: Some(rpoplpush),
    ..LIST
};

fn rpoplpush(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let transfer = Transfer::tail_to_head(&mut args)?;
    args.finish()?;
    transfer_or_null(call, transfer)
}

fn transfer_or_null(call: &mut Call<'_>, transfer: Transfer<'_>) -> Result {
    if !transfer.execute(call)? {
        call.reply.null();
    }
    Ok(())
}

#[derive(Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) source: &'a [u8],
    destination: &'a [u8],
    from: End,
    to: End,
}

impl<'a> Transfer<'a> {
    /// `source destination LEFT|RIGHT LEFT|RIGHT`.
    pub(super) fn parse(args: &mut Args<'a>) -> Result<Self> {
        let (source, destination) = (args.required()?, args.required()?);
        Ok(Self { source, destination, from: end(args)?, to: end(args)? })
    }

    /// `source destination`, of the commands that say the ends in their name.
    pub(super) fn tail_to_head(args: &mut Args<'a>) -> Result<Self> {
        let (source, destination) = (args.required()?, args.required()?);
        Ok(Self { source, destination, from: End::Tail, to: End::Head })
    }

    /// Moves an element and replies with it; false if there is no source.
    pub(super) fn execute(self, call: &mut Call<'_>) -> Result<bool> {
        let Self { source, destination, from, to } = self;
        if call.peek_as::<List>(source)?.is_none() {
            return Ok(false);
        }
        let moved = if source == destination {
            self.rotate(call)?
        } else {
            call.peek_as::<List>(destination)?;
            self.pop_and_push(call)?
        };
        let Some((element, is_gone)) = moved else { return Ok(false) };
        call.changed_too(destination);
        pushed(call, destination, to);
        call.reply.bulk(&element);
        popped(call, source, from, 1, is_gone);
        Ok(true)
    }

    /// What it comes to for a command that may have waited.
    pub(super) fn log(self, call: &mut Call<'_>) {
        let Self { source, destination, from, to } = self;
        let side = |end: End| if end == End::Head { &b"LEFT"[..] } else { b"RIGHT" };
        match (from, to) {
            (End::Tail, End::Head) => call.log_as(&[b"RPOPLPUSH", source, destination]),
            _ => call.log_as(&[b"LMOVE", source, destination, side(from), side(to)]),
        }
    }

    /// Within one list, which keeps its key even if this is its only element.
    fn rotate(self, call: &mut Call<'_>) -> Result<Option<(Vec<u8>, bool)>> {
        let limits = limits(call);
        let moved = call.edit(self.source, |list: &mut List, _| {
            let element = list.pop(self.from)?;
            list.make_room([&element[..]], limits);
            list.push(self.to, &element);
            list.shrink(limits);
            Some((element, false))
        })?;
        Ok(moved.flatten())
    }

    fn pop_and_push(self, call: &mut Call<'_>) -> Result<Option<(Vec<u8>, bool)>> {
        let limits = limits(call);
        let popped = call.edit(self.source, |list: &mut List, _| {
            let element = list.pop(self.from)?;
            list.shrink(limits);
            Some((element, list.len() == 0))
        })?;
        let Some((element, is_gone)) = popped.flatten() else { return Ok(None) };
        call.edit_or_create(
            self.destination,
            |_| List::new(),
            |list, _| {
                list.make_room([&element[..]], limits);
                list.push(self.to, &element);
            },
        )?;
        Ok(Some((element, is_gone)))
    }
}
