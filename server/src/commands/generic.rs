//! Commands about whole keys, whatever they hold: DEL, UNLINK, EXISTS, TYPE, TOUCH, RANDOMKEY.

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;

pub(super) const COMMANDS: &[Command] = &[DEL, EXISTS, RANDOMKEY, TOUCH, TYPE, UNLINK];

const SHARDED_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

const DEL: Command = Command {
    name: "del",
    syntax: "key [key ...]",
    summary: "Deletes one or more keys.",
    complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
    group: Group::Generic,
    flags: Flags::WRITE,
    keys: &[KeySpec::rest(1, Access::Remove, &["delete"])],
    handler: Some(del),
    tips: SHARDED_SUM,
    ..Command::BASE
};

/// UNLINK too: big values are always freed outside the lock.
fn del(call: &mut Call<'_>) -> Result {
    let mut removed = 0;
    for key in call.args() {
        if call.remove(key) {
            call.changed(key);
            call.event(Class::GENERIC, "del", key);
            removed += 1;
        }
    }
    call.reply.int(removed);
    Ok(())
}

const UNLINK: Command = Command {
    name: "unlink",
    summary: "Asynchronously deletes one or more keys.",
    complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
    since: "4.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    ..DEL
};

const EXISTS: Command = Command {
    name: "exists",
    syntax: "key [key ...]",
    summary: "Determines whether one or more keys exist.",
    complexity: "O(N) where N is the number of keys to check.",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::rest(1, Access::ReadOnly, &[])],
    handler: Some(exists),
    history: &[("3.0.3", "Accepts multiple `key` arguments.")],
    tips: SHARDED_SUM,
    ..Command::BASE
};

fn exists(call: &mut Call<'_>) -> Result {
    let found = call.args().filter(|key| call.inspect(key).is_some()).count();
    call.reply.len(found);
    Ok(())
}

const TYPE: Command = Command {
    name: "type",
    syntax: "key",
    summary: "Determines the type of value stored at a key.",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(type_of),
    ..Command::BASE
};

fn type_of(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let name = call.inspect(key).map_or("none", |entry| entry.kind().name());
    call.reply.simple(name);
    Ok(())
}

const TOUCH: Command = Command {
    name: "touch",
    syntax: "key [key ...]",
    summary: "Returns the number of existing keys out of those specified after updating the time they were last accessed.",
    complexity: "O(N) where N is the number of keys that will be touched.",
    since: "3.2.1",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::rest(1, Access::ReadOnly, &[])],
    handler: Some(touch),
    tips: SHARDED_SUM,
    ..Command::BASE
};

/// Notes the access for a client under CLIENT NO-TOUCH as well: it is what the command is for.
fn touch(call: &mut Call<'_>) -> Result {
    let touched = call.args().filter(|key| call.touch(key)).count();
    call.reply.len(touched);
    Ok(())
}

const RANDOMKEY: Command = Command {
    name: "randomkey",
    syntax: "",
    summary: "Returns a random key name from the database.",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS),
    handler: Some(random_key),
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    ..Command::BASE
};

fn random_key(call: &mut Call<'_>) -> Result {
    let key = call.random_key();
    call.reply.bulk_opt(key.as_deref());
    Ok(())
}
