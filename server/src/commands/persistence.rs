//! Commands that write the data to disk: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF.

use super::spec::{Command, Flags, Group};
use crate::engine::{Call, SnapshotPurpose};
use crate::error::{self, Result};

pub(super) const COMMANDS: &[Command] = &[BGREWRITEAOF, BGSAVE, LASTSAVE, SAVE];

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
    handler: Some(save),
    ..Command::BASE
};

fn save(call: &mut Call<'_>) -> Result {
    if call.engine.persistence.save.running.is_some() {
        return Err(error::SAVE_IN_PROGRESS);
    }
    call.engine.persistence.saves += 1;
    call.engine.save_now(call.now).map_err(|_| error::FAILED)?;
    call.reply.ok();
    Ok(())
}

const BGSAVE: Command = Command {
    name: "bgsave",
    syntax: "[SCHEDULE | CANCEL]",
    summary: "Asynchronously saves the database(s) to disk.",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.union(Flags::ADMIN).union(Flags::NOSCRIPT),
    handler: Some(save_in_background),
    history: &[("3.2.2", "Added the `SCHEDULE` option."), ("8.1.0", "Added the `CANCEL` option.")],
    ..Command::BASE
};

fn save_in_background(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    if args.keyword("cancel") {
        args.finish()?;
        return cancel(call);
    }
    let wants_schedule = args.keyword("schedule");
    args.finish()?;
    let persistence = &mut call.engine.persistence;
    match persistence.runs() {
        Some(SnapshotPurpose::Save) => Err(error::SAVE_IN_PROGRESS),
        Some(SnapshotPurpose::AofBase) if !wants_schedule && !call.client.in_exec => {
            Err(error::OTHER_CHILD)
        }
        running => {
            // Within a transaction it begins when that is over, to have all of it or nothing.
            if running.is_some() || call.client.in_exec {
                persistence.save.is_scheduled = true;
                call.reply.simple("Background saving scheduled");
                return Ok(());
            }
            let started = call.engine.start_snapshot(SnapshotPurpose::Save, call.now);
            started.map_err(|_| error::FAILED)?;
            crate::log::notice!("Background saving started");
            call.reply.simple("Background saving started");
            Ok(())
        }
    }
}

fn cancel(call: &mut Call<'_>) -> Result {
    let save = &mut call.engine.persistence.save;
    if save.running.is_some() {
        crate::log::notice!("Background saving will be aborted due to user request");
        call.engine.stop_save(call.now);
        call.reply.simple("Background saving cancelled");
    } else if std::mem::take(&mut save.is_scheduled) {
        crate::log::notice!("Scheduled background saving will be cancelled due to user request");
        call.reply.simple("Scheduled background saving cancelled");
    } else {
        return Err(error::SAVE_NOT_IN_PROGRESS);
    }
    Ok(())
}

const LASTSAVE: Command = Command {
    name: "lastsave",
    syntax: "",
    summary: "Returns the Unix timestamp of the last successful save to disk.",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST).union(Flags::ADMINISTRATIVE),
    handler: Some(last_save),
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn last_save(call: &mut Call<'_>) -> Result {
    let saved_at_s = call.engine.persistence.saved_at_s;
    call.reply.int(saved_at_s);
    Ok(())
}

const BGREWRITEAOF: Command = Command {
    name: "bgrewriteaof",
    syntax: "",
    summary: "Asynchronously rewrites the append-only file to disk.",
    group: Group::Server,
    flags: Flags::NO_ASYNC_LOADING.union(Flags::ADMIN).union(Flags::NOSCRIPT),
    handler: Some(rewrite),
    ..Command::BASE
};

fn rewrite(call: &mut Call<'_>) -> Result {
    let persistence = &mut call.engine.persistence;
    match persistence.runs() {
        Some(SnapshotPurpose::AofBase) => return Err(error::REWRITE_IN_PROGRESS),
        running if running.is_some() || call.client.in_exec => {
            persistence.rewrite.is_scheduled = true;
            persistence.failed_rewrites = 0;
            crate::log::notice!("Background append only file rewriting scheduled.");
            call.reply.simple("Background append only file rewriting scheduled");
        }
        _ => {
            let started = call.engine.start_snapshot(SnapshotPurpose::AofBase, call.now);
            started.map_err(|_| error::REWRITE_FAILED)?;
            crate::log::notice!("Background append only file rewriting started");
            call.reply.simple("Background append only file rewriting started");
        }
    }
    Ok(())
}
