//! HGETEX.

use super::fields::Fields;
use super::setex::{Expiry, Options, Which};
use super::{HASH, Logged, due_from, log_fields, reply_item_opt, tell, tell_if_gone};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::{Args, Call};
use crate::error::Result;
use crate::resp::OwnedArgv;
use crate::types::hash::Hash;

pub(super) const HGETEX: Command = Command {
    name: "hgetex",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] FIELDS numfields:integer field [field ...]",
    summary: "Gets the value of one or more fields of a given hash key, and optionally sets their expiration time or time-to-live (TTL).",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(hgetex),
    ..HASH
};

/// What happens to the fields that were read.
#[derive(Clone, Copy)]
enum Change {
    Expire,
    Persist,
    SetDeadline(i64),
}

fn hgetex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (options, fields) =
        Fields::behind_options(args, 1, |args| Options::parse(args, Which::Hgetex))?;
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    if hash.is_none() || matches!(options.expiry, Expiry::Unsaid) {
        reply.array(fields.left());
        for field in fields {
            reply_item_opt(reply, hash.and_then(|hash| hash.get(field, due_from)));
        }
        // The time must be one even where it is not used.
        return change(call, options.expiry).map(|_| ());
    }
    match change(call, options.expiry)? {
        Some(change) => read_and_change(call, key, fields, change),
        None => Ok(()),
    }
}

fn change(call: &Call<'_>, expiry: Expiry<'_>) -> Result<Option<Change>> {
    let (scale, time) = match expiry {
        Expiry::Unsaid | Expiry::Keep => return Ok(None),
        Expiry::Persist => return Ok(Some(Change::Persist)),
        Expiry::Timed(scale, time) => (scale, time),
    };
    let deadline = super::expire::deadline(call, scale, time)?;
    let is_over = call.is_over(deadline);
    Ok(Some(if is_over { Change::Expire } else { Change::SetDeadline(deadline) }))
}

fn read_and_change(call: &mut Call<'_>, key: &[u8], fields: Args<'_>, change: Change) -> Result {
    let due_from = due_from(call);
    let mut changed = OwnedArgv::default();
    call.edit(key, |hash: &mut Hash, with| {
        with.reply.array(fields.left());
        for field in fields {
            reply_item_opt(with.reply, hash.get(field, due_from));
            if apply(hash, field, change, due_from) {
                changed.push(field);
            }
        }
    })?;
    let names = changed.view();
    let changed = names.len();
    if changed == 0 {
        return Ok(());
    }
    let logged = match change {
        Change::Expire => Logged::Removed,
        Change::Persist => Logged::Persisted,
        Change::SetDeadline(deadline) => Logged::Expires(deadline),
    };
    log_fields(call, key, logged, names);
    match change {
        Change::Expire => {
            call.engine.stats.expired_fields += changed as u64;
            tell(call, key, changed, "hexpired");
            tell_if_gone(call, key);
        }
        Change::Persist => tell(call, key, changed, "hpersist"),
        Change::SetDeadline(_) => tell(call, key, changed, "hexpire"),
    }
    Ok(())
}

/// Whether that changed anything.
fn apply(hash: &mut Hash, field: &[u8], change: Change, due_from: i64) -> bool {
    let Some(old) = hash.deadline(field, due_from) else { return false };
    match change {
        Change::Expire => hash.remove(field, due_from),
        Change::Persist if old.is_none() => false,
        Change::Persist => {
            hash.set_deadline(field, None);
            true
        }
        Change::SetDeadline(deadline) => {
            hash.set_deadline(field, Some(deadline));
            true
        }
    }
}
