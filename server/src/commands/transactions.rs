//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::engine::{Call, Refused, Transaction};
use crate::error::{self, Result};

pub(super) const COMMANDS: &[Command] = &[DISCARD, EXEC, MULTI, UNWATCH, WATCH];

const ANYTIME: Flags = Flags::NOSCRIPT
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::FAST)
    .union(Flags::ALLOW_BUSY);

const MULTI: Command = Command {
    name: "multi",
    syntax: "",
    summary: "Starts a transaction.",
    since: "1.2.0",
    group: Group::Transactions,
    flags: ANYTIME.union(Flags::NO_MULTI),
    handler: Some(multi),
    ..Command::BASE
};

fn multi(call: &mut Call<'_>) -> Result {
    call.client.transaction = Some(Transaction::default());
    call.reply.ok();
    Ok(())
}

const DISCARD: Command = Command {
    name: "discard",
    syntax: "",
    summary: "Discards a transaction.",
    complexity: "O(N), when N is the number of queued commands",
    since: "2.0.0",
    group: Group::Transactions,
    flags: ANYTIME.union(Flags::IN_MULTI),
    handler: Some(discard),
    ..Command::BASE
};

fn discard(call: &mut Call<'_>) -> Result {
    call.client.transaction.take().ok_or(error::DISCARD_WITHOUT_MULTI)?;
    call.engine.unwatch(call.client);
    call.reply.ok();
    Ok(())
}

const EXEC: Command = Command {
    name: "exec",
    syntax: "",
    summary: "Executes all commands in a transaction.",
    complexity: "Depends on commands in the transaction",
    since: "1.2.0",
    group: Group::Transactions,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::SKIP_SLOWLOG)
        .union(Flags::IN_MULTI),
    handler: Some(exec),
    ..Command::BASE
};

fn exec(call: &mut Call<'_>) -> Result {
    let transaction = call.client.transaction.take().ok_or(error::EXEC_WITHOUT_MULTI)?;
    let broken = call.engine.is_watch_broken(call.client, call.now);
    call.engine.unwatch(call.client);
    match transaction.refused {
        Some(Refused::Error) => return Err(error::EXEC_ABORT),
        Some(Refused::Because(reason)) => {
            return Err(error::exec_abort(&reason));
        }
        None => {}
    }
    if broken {
        call.reply.null_array();
        return Ok(());
    }
    let needs_memory = |flags: Flags| flags.contains(Flags::DENYOOM);
    if transaction.ids().any(|id| needs_memory(id.entry().command.flags))
        && call.engine.is_out_of_memory()
    {
        return Err(error::exec_abort(&error::OOM));
    }
    call.reply.array(transaction.len());
    call.client.in_exec = true;
    call.run_all(transaction.queue());
    call.client.in_exec = false;
    // Each of them is logged for itself.
    call.log_nothing();
    Ok(())
}

const WATCH: Command = Command {
    name: "watch",
    syntax: "key [key ...]",
    summary: "Monitors changes to keys to determine the execution of a transaction.",
    complexity: "O(1) for every key.",
    since: "2.2.0",
    group: Group::Transactions,
    flags: ANYTIME.union(Flags::NO_MULTI),
    keys: &[KeySpec::rest(1, Access::ReadOnly, &[])],
    handler: Some(watch),
    ..Command::BASE
};

fn watch(call: &mut Call<'_>) -> Result {
    let db = call.client.db;
    // The fate of this transaction is sealed, more watches change nothing.
    if !call.client.watch_broken.is_set() {
        for key in call.args() {
            call.engine.watch(call.client, db, key, call.now);
        }
    }
    call.reply.ok();
    Ok(())
}

const UNWATCH: Command = Command {
    name: "unwatch",
    syntax: "",
    summary: "Forgets about watched keys of a transaction.",
    since: "2.2.0",
    group: Group::Transactions,
    flags: ANYTIME,
    handler: Some(unwatch),
    ..Command::BASE
};

fn unwatch(call: &mut Call<'_>) -> Result {
    call.engine.unwatch(call.client);
    call.reply.ok();
    Ok(())
}
