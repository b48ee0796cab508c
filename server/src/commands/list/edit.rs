//! LSET, LINSERT, LREM, LTRIM.

use super::position::symmetric_int;
use super::read::{element_at, range};
use super::{GROWS, INSERTS, LIST, changed_by, limits};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::types::list::{End, List, Side};

pub(super) const LSET: Command = Command {
    name: "lset",
    syntax: "key index element",
    summary: "Sets the value of an element in a list by its index.",
    complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(lset),
    ..LIST
};

fn lset(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    // Complained of only where there is a list.
    let (index, element) = (args.int(), args.required()?);
    let limits = limits(call);
    let was_set = call.edit(key, |list: &mut List, _| {
        let index = element_at(index?, list.len());
        list.make_room([element], limits);
        let was_set = index.is_some_and(|index| list.set(index, element));
        if was_set {
            list.shrink(limits);
        }
        Ok(was_set)
    })?;
    if !was_set.ok_or(error::NO_SUCH_KEY)?? {
        return Err(error::INDEX_OUT_OF_RANGE);
    }
    call.changed(key);
    call.event(Class::LIST, "lset", key);
    call.reply.ok();
    Ok(())
}

pub(super) const LINSERT: Command = Command {
    name: "linsert",
    syntax: "key <BEFORE | AFTER> pivot element",
    summary: "Inserts an element before or after another element in a list.",
    complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
    since: "2.2.0",
    flags: GROWS,
    keys: &[INSERTS],
    handler: Some(linsert),
    ..LIST
};

fn linsert(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let side = match args.required()?.to_ascii_lowercase().as_slice() {
        b"before" => Side::Before,
        b"after" => Side::After,
        _ => return Err(error::SYNTAX),
    };
    let (pivot, element) = (args.required()?, args.required()?);
    let limits = limits(call);
    let inserted = call.edit(key, |list: &mut List, _| {
        list.make_room([element], limits);
        list.insert(side, pivot, element).then(|| list.len())
    })?;
    match inserted {
        None => call.reply.int(0),
        Some(None) => call.reply.int(-1),
        Some(Some(len)) => {
            call.changed(key);
            call.event(Class::LIST, "linsert", key);
            call.reply.len(len);
        }
    }
    Ok(())
}

/// A command that may take out the last element.
const SHRINKS: KeySpec = KeySpec::one(1, Access::ReadWrite, &["delete"]);

pub(super) const LREM: Command = Command {
    name: "lrem",
    syntax: "key count element",
    summary: "Removes elements from a list. Deletes the list if the last element was removed.",
    complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
    flags: Flags::WRITE,
    keys: &[SHRINKS],
    handler: Some(lrem),
    ..LIST
};

fn lrem(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, count, element) = (args.required()?, symmetric_int(&mut args)?, args.required()?);
    let end = if count < 0 { End::Tail } else { End::Head };
    let limit = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    let limits = limits(call);
    let edited = call.edit(key, |list: &mut List, _| {
        let removed = list.remove_equal(element, limit, end);
        if removed > 0 {
            list.shrink(limits);
        }
        (removed, list.len() == 0)
    })?;
    let (removed, is_gone) = edited.unwrap_or_default();
    if removed > 0 {
        changed_by(call, key, removed);
        shrunk(call, "lrem", key, is_gone);
    }
    call.reply.len(removed);
    Ok(())
}

pub(super) const LTRIM: Command = Command {
    name: "ltrim",
    syntax: "key start stop:integer",
    summary: "Removes elements from both ends of a list. Deletes the list if all elements were trimmed.",
    complexity: "O(N) where N is the number of elements to be removed by the operation.",
    flags: Flags::WRITE,
    keys: &[SHRINKS],
    handler: Some(ltrim),
    ..LIST
};

fn ltrim(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, start, stop) = (args.required()?, args.int()?, args.int()?);
    let limits = limits(call);
    let edited = call.edit(key, |list: &mut List, _| {
        let len = list.len();
        let kept = range(start, stop, len);
        list.remove_range(kept.end, len - kept.end);
        list.remove_range(0, kept.start);
        list.shrink(limits);
        (len - kept.len(), kept.is_empty())
    })?;
    if let Some((removed, is_gone)) = edited {
        if removed > 0 {
            changed_by(call, key, removed);
        }
        shrunk(call, "ltrim", key, is_gone);
    }
    call.reply.ok();
    Ok(())
}

fn shrunk(call: &mut Call<'_>, event: &str, key: &[u8], is_gone: bool) {
    call.event(Class::LIST, event, key);
    if is_gone {
        call.event(Class::GENERIC, "del", key);
    }
}
