//! HDEL and HGETDEL.

use super::fields::Fields;
use super::{HASH, due_from, reply_item_opt, tell, tell_if_gone};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
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
    let removed = call.edit(key, |hash: &mut Hash, _| {
        fields.filter(|field| hash.remove(field, due_from)).count()
    })?;
    let removed = removed.unwrap_or(0);
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
    let removed = call.edit(key, |hash: &mut Hash, with| {
        with.reply.array(fields.left());
        let take = |field: &&[u8]| {
            reply_item_opt(with.reply, hash.get(field, due_from));
            hash.remove(field, due_from)
        };
        fields.filter(take).count()
    })?;
    match removed {
        None => {
            call.reply.array(fields.left());
            fields.for_each(|_| call.reply.null());
        }
        Some(0) => {}
        Some(removed) => {
            tell(call, key, removed, "hdel");
            tell_if_gone(call, key);
        }
    }
    Ok(())
}
