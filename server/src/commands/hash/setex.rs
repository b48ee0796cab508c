//! HSETEX, and the options that it shares with HGETEX.

use super::fields::Fields;
use super::set::Puts;
use super::{HASH, due_from, tell_if_gone, tell_overwritten};
use crate::commands::expire::{From, Scale, Unit};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::hash::{Hash, Put, SHOW_DUE, Ttl};

pub(super) const HSETEX: Command = Command {
    name: "hsetex",
    syntax: "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields:integer field value [field value ...]",
    summary: "Sets the value of one or more fields of a given hash key, and optionally sets their expiration time.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["insert"])],
    handler: Some(hsetex),
    ..HASH
};

fn hsetex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (options, pairs) =
        Fields::behind_options(args, 2, |args| Options::parse(args, Which::Hsetex))?;
    let is_there = call.peek_as::<Hash>(key)?.is_some();
    if !options.key.holds(is_there) {
        call.reply.int(0);
        return Ok(());
    }
    let ttl = match options.expiry {
        Expiry::Keep => Ttl::Keep,
        Expiry::Unsaid | Expiry::Persist => Ttl::Clear,
        Expiry::Timed(scale, time) => Ttl::At(super::expire::deadline(call, scale, time)?),
    };
    let applies = fields_hold(call, key, options.fields, pairs)?;
    if applies {
        match ttl {
            Ttl::At(deadline) if call.is_over(deadline) => expire_all(call, key, pairs)?,
            _ => set_all(call, key, pairs, ttl)?,
        }
    }
    call.reply.int(i64::from(applies));
    Ok(())
}

/// Whether FNX or FXX holds for every field.
fn fields_hold(call: &mut Call<'_>, key: &[u8], when: When, pairs: Args<'_>) -> Result<bool> {
    if when == When::Always {
        return Ok(true);
    }
    let due_from = due_from(call);
    let hash = call.peek_as::<Hash>(key)?;
    let is_there =
        |field: &[u8]| hash.as_deref().is_some_and(|hash| hash.contains(field, due_from));
    Ok(pairs.pairs().all(|(field, _)| when.holds(is_there(field))))
}

fn set_all(call: &mut Call<'_>, key: &[u8], pairs: Args<'_>, ttl: Ttl) -> Result {
    let due_from = due_from(call);
    // Which of them were due, if that matters: a deadline that is over is not kept.
    let mut due = Vec::new();
    let notes_due = ttl == Ttl::Keep && call.is_logged();
    let puts = call.edit_or_create(
        key,
        |_| Hash::new(),
        |hash: &mut Hash, with| {
            let limits = &with.settings.hash_limits;
            let mut puts = Puts::default();
            for (field, value) in pairs.pairs() {
                let put = hash.set(field, value, ttl, limits, due_from);
                puts.count(put);
                if notes_due {
                    due.push(put == Put::ReplacedDue);
                }
            }
            puts
        },
    )?;
    log_set(call, key, pairs, ttl, &due);
    tell_overwritten(call, key, puts.due);
    call.changed(key);
    call.dirty((pairs.left() / 2) as u64 - 1);
    call.event(Class::HASH, "hset", key);
    if matches!(ttl, Ttl::At(_)) {
        call.event(Class::HASH, "hexpire", key);
    }
    Ok(())
}

/// Logs it without the conditions, which were found to hold.
fn log_set(call: &mut Call<'_>, key: &[u8], pairs: Args<'_>, ttl: Ttl, due: &[bool]) {
    let len = pairs.left();
    match ttl {
        Ttl::Clear => call.log(2 + len, |line| line.word(b"HSET").word(key).words(pairs).done()),
        Ttl::At(deadline) => {
            let unix_ms = call.now.unix_ms_of_deadline(deadline);
            call.log(6 + len, |line| {
                line.word(b"HSETEX").word(key).word(b"PXAT").int(unix_ms);
                line.word(b"FIELDS").int((len / 2) as i64).words(pairs).done();
            });
        }
        Ttl::Keep => log_kept(call, key, pairs, due),
    }
}

/// Fields that were due get no deadline, the others keep theirs.
fn log_kept(call: &mut Call<'_>, key: &[u8], pairs: Args<'_>, due: &[bool]) {
    let those = |wanted: bool| {
        let each = pairs.pairs().zip(due).filter(move |(_, due)| **due == wanted);
        each.flat_map(|((field, value), _)| [field, value])
    };
    let cleared = 2 * due.iter().filter(|due| **due).count();
    let kept = 2 * due.len() - cleared;
    if cleared > 0 {
        call.log(2 + cleared, |line| line.word(b"HSET").word(key).words(those(true)).done());
    }
    if kept > 0 {
        call.log(5 + kept, |line| {
            line.word(b"HSETEX").word(key).word(b"KEEPTTL").word(b"FIELDS");
            line.int((kept / 2) as i64).words(those(false)).done();
        });
    }
}

/// The deadline is over already: what is set is gone at once, and so is what was there.
fn expire_all(call: &mut Call<'_>, key: &[u8], pairs: Args<'_>) -> Result {
    let removed = call.edit(key, |hash: &mut Hash, _| {
        pairs.pairs().filter(|(field, _)| hash.remove(field, SHOW_DUE)).count()
    })?;
    call.engine.stats.expired_fields += (pairs.left() / 2) as u64;
    if let Some(removed @ 1..) = removed {
        let fields = pairs.pairs().map(|(field, _)| field);
        call.log(2 + pairs.left() / 2, |line| {
            line.word(b"HDEL").word(key).words(fields).done();
        });
        call.changed(key);
        call.dirty(removed as u64 - 1);
    }
    for event in ["hset", "hexpire", "hexpired"] {
        call.event(Class::HASH, event, key);
    }
    tell_if_gone(call, key);
    Ok(())
}

/// Which of the two commands the options are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Hgetex,
    Hsetex,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Options<'a> {
    /// NX and XX
    key: When,
    /// FNX and FXX
    fields: When,
    pub(super) expiry: Expiry<'a>,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum When {
    #[default]
    Always,
    Missing,
    Present,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Expiry<'a> {
    #[default]
    Unsaid,
    Keep,
    Persist,
    Timed(Scale, &'a [u8]),
}

impl When {
    fn holds(self, is_there: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Missing => !is_there,
            Self::Present => is_there,
        }
    }

    /// The same may be said twice, as in Valkey.
    fn set(&mut self, when: Self) -> Result {
        if *self != Self::Always && *self != when {
            return Err(error::SYNTAX);
        }
        *self = when;
        Ok(())
    }
}

impl<'a> Options<'a> {
    pub(super) fn parse(mut args: Args<'a>, which: Which) -> Result<Self> {
        let mut options = Self::default();
        while !args.is_empty() {
            options.take(&mut args, which)?;
        }
        Ok(options)
    }

    fn take(&mut self, args: &mut Args<'a>, which: Which) -> Result {
        const TIMES: [(&str, Unit, From); 4] = [
            ("ex", Unit::Seconds, From::Now),
            ("px", Unit::Milliseconds, From::Now),
            ("exat", Unit::Seconds, From::Epoch),
            ("pxat", Unit::Milliseconds, From::Epoch),
        ];
        for (word, unit, from) in TIMES {
            if args.left() > 1 && args.keyword(word) {
                return self.expires(Expiry::Timed(Scale { unit, from }, args.required()?));
            }
        }
        match which {
            Which::Hgetex if args.keyword("persist") => self.expires(Expiry::Persist),
            Which::Hsetex if args.keyword("keepttl") => self.expires(Expiry::Keep),
            Which::Hsetex if args.keyword("nx") => self.key.set(When::Missing),
            Which::Hsetex if args.keyword("xx") => self.key.set(When::Present),
            Which::Hsetex if args.keyword("fnx") => self.fields.set(When::Missing),
            Which::Hsetex if args.keyword("fxx") => self.fields.set(When::Present),
            _ => Err(error::SYNTAX),
        }
    }

    /// The same option may be repeated, as in Valkey; the last one counts.
    fn expires(&mut self, expiry: Expiry<'a>) -> Result {
        let allowed = match (self.expiry, expiry) {
            (Expiry::Unsaid, _)
            | (Expiry::Keep, Expiry::Keep)
            | (Expiry::Persist, Expiry::Persist) => true,
            (Expiry::Timed(before, _), Expiry::Timed(scale, _)) => before == scale,
            _ => false,
        };
        if !allowed {
            return Err(error::SYNTAX);
        }
        self.expiry = expiry;
        Ok(())
    }
}
