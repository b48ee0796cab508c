//! GET and GETEX.

use super::options::{Expiry, For, Options};
use super::{READS, STRING, UPDATES, reply_text};
use crate::commands::expire;
use crate::commands::spec::{Command, Flags};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;
use crate::keyspace::Ttl;

pub(super) const GET: Command = Command {
    name: "get",
    syntax: "key",
    summary: "Returns the string value of a key.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[READS],
    handler: Some(get),
    ..STRING
};

fn get(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let (found, reply) = call.read_string_and_reply(key)?;
    reply_text(reply, found);
    Ok(())
}

pub(super) const GETEX: Command = Command {
    name: "getex",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    summary: "Returns the string value of a key after setting its expiration time.",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[UPDATES.noted("RW and UPDATE because it changes the TTL")],
    handler: Some(getex),
    ..STRING
};

fn getex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let options = Options::parse(args, For::Getex)?;
    let ttl = options.expiry.ttl(call)?;
    let (found, reply) = call.read_string_and_reply(key)?;
    reply_text(reply, found);
    if found.is_none() || options.expiry == Expiry::Unsaid {
        return Ok(());
    }
    match ttl {
        Ttl::At(deadline_ms) if call.is_over(deadline_ms) => call.remove_expired(key),
        Ttl::At(deadline_ms) => {
            call.db_mut().set_expire(key, deadline_ms);
            call.changed(key);
            expire::log(call, key, deadline_ms);
            call.event(Class::GENERIC, "expire", key);
        }
        Ttl::Clear | Ttl::Keep => {
            if call.db_mut().persist(key) {
                call.changed(key);
                call.log_as(&[b"PERSIST", key]);
                call.event(Class::GENERIC, "persist", key);
            }
        }
    }
    Ok(())
}
