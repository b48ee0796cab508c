//! Commands that ask for the data to be written to disk. There is no persistence yet, and they say
//! so: to accept a SAVE that saves nothing would cost somebody his data.

use super::spec::{Command, Flags, Group};
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) const COMMANDS: &[Command] = &[BGREWRITEAOF, BGSAVE, SAVE];

const SAVE: Command = Command {
    name: "save",
    syntax: "",
    summary: "Synchronously saves the database(s) to disk.",
    complexity: "O(N) where N is the total number of keys in all databases",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING
        .union(Flags::ADMIN)
        .union(Flags::NOSCRIPT)
        .union(Flags::NO_MULTI),
    handler: Some(refuse),
    ..Command::BASE
};

const BGSAVE: Command = Command {
    name: "bgsave",
    syntax: "[SCHEDULE | CANCEL]",
    summary: "Asynchronously saves the database(s) to disk.",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.union(Flags::ADMIN).union(Flags::NOSCRIPT),
    handler: Some(refuse_background),
    history: &[("3.2.2", "Added the `SCHEDULE` option."), ("8.1.0", "Added the `CANCEL` option.")],
    ..Command::BASE
};

const BGREWRITEAOF: Command = Command {
    name: "bgrewriteaof",
    syntax: "",
    summary: "Asynchronously rewrites the append-only file to disk.",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.union(Flags::ADMIN).union(Flags::NOSCRIPT),
    handler: Some(refuse),
    ..Command::BASE
};

fn refuse(_: &mut Call<'_>) -> Result {
    Err(error::NO_PERSISTENCE)
}

fn refuse_background(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let _ = args.keyword("schedule") || args.keyword("cancel");
    args.finish()?;
    refuse(call)
}
