//! Values as numbers: HINCRBY and HINCRBYFLOAT.

use super::{HASH, due_from, tell, tell_overwritten};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::types::decimal::Decimal;
use crate::types::hash::{Hash, Put, Ttl};
use crate::types::listpack::Item;
use crate::types::string::Digits;

pub(super) const HINCRBY: Command = Command {
    name: "hincrby",
    syntax: "key field increment:integer",
    summary: "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(hincrby),
    ..HASH
};

pub(super) const HINCRBYFLOAT: Command = Command {
    name: "hincrbyfloat",
    syntax: "key field increment:integer",
    summary: "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.",
    since: "2.6.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(hincrbyfloat),
    ..HASH
};

fn hincrby(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, field, increment) = (args.required()?, args.required()?, args.int()?);
    args.finish()?;
    let add = |value: Option<Item<'_>>| {
        let before = value.map_or(Some(0), Item::as_int).ok_or(error::HASH_NOT_INTEGER)?;
        before.checked_add(increment).ok_or(error::OVERFLOW)
    };
    let sum = replace(call, key, field, "hincrby", Exact::Yes, |value| {
        let sum = add(value)?;
        Ok((Digits::new().format(sum).as_bytes().to_vec(), sum))
    })?;
    call.reply.int(sum);
    Ok(())
}

fn hincrbyfloat(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, field, increment) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let increment = Decimal::parse(increment).ok_or(error::NOT_FLOAT)?;
    if increment == Decimal::Infinite {
        return Err(error::VALUE_NAN_OR_INFINITY);
    }
    let sum = replace(call, key, field, "hincrbyfloat", Exact::No, |value| {
        let before = match value {
            Some(value) => Decimal::parse(value.write_to(&mut Digits::new())),
            None => Some(Decimal::ZERO),
        };
        let before = before.ok_or(error::HASH_NOT_FLOAT)?;
        let sum = before.plus(&increment).ok_or(error::NAN_OR_INFINITY)?.to_string();
        Ok((sum.clone().into_bytes(), sum))
    })?;
    call.reply.bulk(sum.as_bytes());
    Ok(())
}

/// Whether the command means the same wherever it is executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exact {
    Yes,
    No,
}

/// Logs the value itself. Who reads that may see fields otherwise that have a deadline.
fn log(call: &mut Call<'_>, key: &[u8], field: &[u8], value: &[u8], deadline: Option<i64>) {
    let Some(deadline) = deadline else { return call.log_as(&[b"HSET", key, field, value]) };
    let unix_ms = call.now.unix_ms_of_deadline(deadline);
    call.log(8, |line| {
        line.word(b"HSETEX").word(key).word(b"PXAT").int(unix_ms);
        line.word(b"FIELDS").int(1).word(field).word(value).done();
    });
}

/// Puts another value in a field's place, which keeps its deadline. Returns what `change` makes
/// besides.
fn replace<T>(
    call: &mut Call<'_>,
    key: &[u8],
    field: &[u8],
    event: &str,
    exact: Exact,
    change: impl FnOnce(Option<Item<'_>>) -> Result<(Vec<u8>, T)>,
) -> Result<T> {
    let due_from = due_from(call);
    let is_logged = call.is_logged();
    let (put, made, outcome) = call.edit_or_create(
        key,
        |_| Hash::new(),
        |hash: &mut Hash, with| {
            let (value, made) = change(hash.get(field, due_from))?;
            let limits = &with.settings.hash_limits;
            let says_all = exact == Exact::Yes && hash.next_deadline().is_none();
            let put = hash.set(field, &value, Ttl::Keep, limits, due_from);
            let deadline = hash.deadline(field, due_from).flatten();
            Ok((put, made, (is_logged && !says_all).then_some((value, deadline))))
        },
    )??;
    if let Some((value, deadline)) = outcome {
        log(call, key, field, &value, deadline);
    }
    tell_overwritten(call, key, usize::from(put == Put::ReplacedDue));
    tell(call, key, 1, event);
    Ok(made)
}
