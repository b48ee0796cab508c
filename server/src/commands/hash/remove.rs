//! HDEL and HGETDEL.

use super::fields::Fields;
use super::{HASH, Logged, due_from, log_fields, reply_item_opt, tell, tell_if_gone};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::OwnedArgv;
use crate::types::hash::Hash;

pub(super) const HDEL: Command = Command {
    name: "hdel",
    syntax: "key field [field ...]",
    summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
    complexity: "O(N) where N is the number of fields to be removed.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(hdel),
    history: &[("2.4.0", "Accepts multiple `field` arguments.")],
    ..HASH
};

fn hdel(call: &mut Call<'_>) -> Result {
    let mut fields = call.args();
    let key = fields.required()?;
    let due_from = due_from(call);
    let is_logged = call.is_logged();
    let mut names = OwnedArgv::default();
    let removed = call.edit(key, |hash: &mut Hash, _| {
        // Without deadlines, what is not there now is not there for the log's reader either.
        let notes = is_logged && hash.next_deadline().is_some();
        let take = |field: &&[u8]| {
            let is_there = hash.remove(field, due_from);
            if is_there && notes {
                names.push(field);
            }
            is_there
        };
        fields.filter(take).count()
    })?;
    let removed = removed.unwrap_or(0);
    if !names.view().is_empty() {
        log_fields(call, key, Logged::Removed, names.view());
    }
    if removed > 0 {
        tell(call, key, removed, "hdel");
        tell_if_gone(call, key);
    }
    call.reply.len(removed);
    Ok(())
}

pub(super) const HGETDEL: Command = Command {
    name: "hgetdel",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Returns the values of one or more fields and deletes them from a hash.",
    complexity: "O(N) where N is the number of fields to be retrieved and deleted.",
    since: "9.1.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])],
    handler: Some(hgetdel),
    ..HASH
};

fn hgetdel(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let fields = Fields::parse(args, 1, error::NUMFIELDS)?;
    let due_from = due_from(call);
    let mut names = OwnedArgv::default();
    let removed = call.edit(key, |hash: &mut Hash, with| {
        with.reply.array(fields.left());
        for field in fields {
            reply_item_opt(with.reply, hash.get(field, due_from));
            if hash.remove(field, due_from) {
                names.push(field);
            }
        }
        names.view().len()
    })?;
    match removed {
        None => {
            call.reply.array(fields.left());
            fields.for_each(|_| call.reply.null());
        }
        Some(0) => {}
        Some(removed) => {
            log_fields(call, key, Logged::Removed, names.view());
            tell(call, key, removed, "hdel");
            tell_if_gone(call, key);
        }
    }
    Ok(())
}
