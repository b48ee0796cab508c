//! SORT and SORT_RO: the elements of a list, set or sorted set in order, or what keys named after
//! them hold.

mod order;
mod pattern;
mod query;

use super::spec::{Access, Command, Find, Flags, Group, KeySpec, LastOf};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::types::collection::Collection;
use crate::types::list::{End, List};
use crate::types::listpack::Item;
use pattern::{Pattern, Value};
use query::{Get, Query};

pub(super) const COMMANDS: &[Command] = &[SORT, SORT_RO];

const SORTS: Command = Command { group: Group::Generic, ..Command::BASE };

const NAMED_AFTER_ELEMENTS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"])
    .found(Find::Unknown)
    .noted("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort");

const DESTINATION: KeySpec = KeySpec::one(2, Access::Overwrite, &["update"])
    .behind_last("STORE", &LAST_STORE)
    .found(Find::Unknown)
    .noted("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array");

const LAST_STORE: LastOf =
    LastOf { words: &["STORE"], skipping: &[("LIMIT", 2), ("BY", 1), ("GET", 1)] };

pub(super) const SORT: Command = Command {
    name: "sort",
    syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
    summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
    since: "1.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::SORTS).union(Flags::DANGEROUS),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]), NAMED_AFTER_ELEMENTS, DESTINATION],
    handler: Some(sort),
    ..SORTS
};

fn sort(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let query = Query::parse(args, true)?;
    run(call, key, &query)
}

pub(super) const SORT_RO: Command = Command {
    name: "sort_ro",
    syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    summary: "Returns the sorted elements of a list, a set, or a sorted set.",
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
    since: "7.0.0",
    flags: Flags::READONLY.union(Flags::SORTS).union(Flags::DANGEROUS),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]), NAMED_AFTER_ELEMENTS],
    handler: Some(sort_ro),
    ..SORTS
};

fn sort_ro(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let query = Query::parse(args, false)?;
    run(call, key, &query)
}

fn run(call: &mut Call<'_>, key: &[u8], query: &Query<'_>) -> Result {
    let elements = elements_in_order(call, key, query)?;
    match query.destination {
        Some(destination) => store(call, destination, &elements, query),
        None => {
            reply(call, &elements, query);
            Ok(())
        }
    }
}

/// The elements that are asked for.
fn elements_in_order(call: &mut Call<'_>, key: &[u8], query: &Query<'_>) -> Result<Vec<Vec<u8>>> {
    let found = call.read(key).map(|entry| entry.collection().ok_or(error::WRONG_TYPE));
    let Some(collection) = found.transpose()? else { return Ok(Vec::new()) };
    let len = collection.len();
    let range = query.range(len);
    let (elements, is_ordered) = match &*collection {
        Collection::List(list) if !query.sorts => {
            let (start, end) = (range.start, range.end);
            let elements = match query.descending {
                true => list.texts_in(len - end..len - start, End::Tail),
                false => list.texts_in(start..end, End::Head),
            };
            (elements, true)
        }
        Collection::SortedSet(set) if !query.sorts => {
            let (start, end) = (range.start, range.end);
            let ranks = if query.descending { len - end..len - start } else { start..end };
            let members = set.range(ranks).map(|(member, _)| member.to_vec());
            let members: Vec<_> =
                if query.descending { members.rev().collect() } else { members.collect() };
            (members, true)
        }
        Collection::List(list) => (list.texts(), false),
        Collection::Set(set) => {
            // What is stored must not depend on how the set is kept.
            let is_ordered = !query.sorts && query.destination.is_none();
            (set.iter().map(Item::to_vec).collect(), is_ordered)
        }
        Collection::SortedSet(set) => {
            (set.iter().map(|(member, _)| member.to_vec()).collect(), false)
        }
        Collection::Hash(_) | Collection::Stream(_) => return Err(error::WRONG_TYPE),
    };
    let is_cut = elements.len() < len;
    let mut elements: Vec<Vec<u8>> = elements;
    if !is_ordered {
        elements = order::sorted(call, elements, query)?;
    }
    if !is_cut {
        elements.truncate(range.end);
        elements.drain(..range.start);
    }
    Ok(elements)
}

fn reply(call: &mut Call<'_>, elements: &[Vec<u8>], query: &Query<'_>) {
    if query.gets.is_empty() {
        return call.reply.bulks(elements);
    }
    call.reply.array(elements.len() * query.gets.len());
    for element in elements {
        for get in &query.gets {
            let value = value(call, get, element);
            call.reply.bulk_opt(value.as_deref());
        }
    }
}

fn store(
    call: &mut Call<'_>,
    destination: &[u8],
    elements: &[Vec<u8>],
    query: &Query<'_>,
) -> Result {
    let limits = call.engine.list_limits();
    let list = if query.gets.is_empty() {
        List::of(elements.iter().map(Vec::as_slice), limits)
    } else {
        let each =
            elements.iter().flat_map(|element| query.gets.iter().map(move |get| (get, element)));
        let values: Vec<_> =
            each.map(|(get, element)| value(call, get, element).unwrap_or_default()).collect();
        List::of(values.iter().map(Vec::as_slice), limits)
    };
    let len = list.len();
    let was_there = call.store(destination, Some(list));
    if len > 0 {
        call.changed(destination);
        call.dirty(len as u64 - 1);
        call.signal(destination);
        call.event(Class::LIST, "sortstore", destination);
    } else if was_there {
        call.changed(destination);
        call.event(Class::GENERIC, "del", destination);
    }
    call.reply.len(len);
    Ok(())
}

fn value(call: &mut Call<'_>, get: &Get<'_>, element: &[u8]) -> Value {
    match get {
        Get::Element => Some(element.to_vec()),
        Get::Pattern(pattern) => pattern.look_up(call, element),
        Get::Nothing => None,
    }
}
