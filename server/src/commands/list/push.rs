//! LPUSH, RPUSH, LPUSHX, RPUSHX.

use super::{GROWS, INSERTS, LIST, changed_by, limits, pushed};
use crate::commands::spec::{Command, Flags};
use crate::engine::Call;
use crate::error::Result;
use crate::types::list::{End, List};

const PUSH: Command = Command {
    syntax: "key element [element ...]",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    flags: GROWS.union(Flags::FAST),
    keys: &[INSERTS],
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    ..LIST
};

pub(super) const LPUSH: Command = Command {
    name: "lpush",
    summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
    handler: Some(|call| push(call, End::Head)),
    ..PUSH
};

pub(super) const RPUSH: Command = Command {
    name: "rpush",
    summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
    handler: Some(|call| push(call, End::Tail)),
    ..PUSH
};

const PUSHX: Command = Command {
    since: "2.2.0",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    ..PUSH
};

pub(super) const LPUSHX: Command = Command {
    name: "lpushx",
    summary: "Prepends one or more elements to a list only when the list exists.",
    handler: Some(|call| push_if_there(call, End::Head)),
    ..PUSHX
};

pub(super) const RPUSHX: Command = Command {
    name: "rpushx",
    summary: "Appends one or more elements to a list only when the list exists.",
    handler: Some(|call| push_if_there(call, End::Tail)),
    ..PUSHX
};

fn push(call: &mut Call<'_>, end: End) -> Result {
    let mut elements = call.args();
    let key = elements.required()?;
    let limits = limits(call);
    let put = |list: &mut List| {
        list.make_room(elements, limits);
        elements.for_each(|element| list.push(end, element));
        list.len()
    };
    let len = call.edit_or_create(key, |_| List::new(), |list, _| put(list))?;
    changed_by(call, key, elements.left());
    pushed(call, key, end);
    call.reply.len(len);
    Ok(())
}

fn push_if_there(call: &mut Call<'_>, end: End) -> Result {
    let mut elements = call.args();
    let key = elements.required()?;
    let limits = limits(call);
    let len = call.edit(key, |list: &mut List, _| {
        list.make_room(elements, limits);
        elements.for_each(|element| list.push(end, element));
        list.len()
    })?;
    if len.is_some() {
        changed_by(call, key, elements.left());
        pushed(call, key, end);
    }
    call.reply.len(len.unwrap_or(0));
    Ok(())
}
