//! Commands about a key's time to live: the EXPIRE, TTL and EXPIRETIME families and PERSIST.

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::clock::Now;
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};

pub(super) const COMMANDS: &[Command] =
    &[EXPIRE, EXPIREAT, EXPIRETIME, PERSIST, PEXPIRE, PEXPIREAT, PEXPIRETIME, PTTL, TTL];

/// How a command gives or is given a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) unit: Unit,
    pub(super) from: From,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Now,
    /// Unix time.
    Epoch,
}

const EXPIRE: Command = Command {
    name: "expire",
    syntax: "key seconds [NX | XX | GT | LT]",
    summary: "Sets the expiration time of a key in seconds.",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(|call| expire(call, Scale { unit: Unit::Seconds, from: From::Now })),
    history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
    ..Command::BASE
};

const PEXPIRE: Command = Command {
    name: "pexpire",
    syntax: "key milliseconds [NX | XX | GT | LT]",
    summary: "Sets the expiration time of a key in milliseconds.",
    since: "2.6.0",
    handler: Some(|call| expire(call, Scale { unit: Unit::Milliseconds, from: From::Now })),
    ..EXPIRE
};

const EXPIREAT: Command = Command {
    name: "expireat",
    syntax: "key unix-time-seconds [NX | XX | GT | LT]",
    summary: "Sets the expiration time of a key to a Unix timestamp.",
    since: "1.2.0",
    handler: Some(|call| expire(call, Scale { unit: Unit::Seconds, from: From::Epoch })),
    ..EXPIRE
};

const PEXPIREAT: Command = Command {
    name: "pexpireat",
    syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
    summary: "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    since: "2.6.0",
    handler: Some(|call| expire(call, Scale { unit: Unit::Milliseconds, from: From::Epoch })),
    ..EXPIRE
};

fn expire(call: &mut Call<'_>, scale: Scale) -> Result {
    let mut args = call.args();
    let (key, time) = (args.required()?, args.required()?);
    let condition = Condition::parse(args)?;
    let time = crate::number::parse_int(time).ok_or(error::NOT_INTEGER)?;
    let deadline =
        scale.deadline(time, call.now).ok_or_else(|| error::invalid_expire(call.full_name()))?;
    let old = call.entry_mut(key).map(|found| found.entry().expire_at());
    let applies = old.is_some_and(|old| condition.holds(old, deadline));
    if applies && call.is_over(deadline) {
        call.remove_expired(key);
    } else if applies {
        call.db_mut().set_expire(key, deadline);
        call.changed(key);
        log(call, key, deadline);
        call.event(Class::GENERIC, "expire", key);
    }
    call.reply.int(i64::from(applies));
    Ok(())
}

/// Logs that a key was given a deadline.
pub(super) fn log(call: &mut Call<'_>, key: &[u8], deadline: i64) {
    let unix_ms = call.now.unix_ms_of_deadline(deadline);
    call.log(3, |line| line.word(b"PEXPIREAT").word(key).int(unix_ms).done());
}

impl Scale {
    /// The deadline on the server's timeline that `time` means; `None` where it overflows. Any time
    /// before 1970 is as good as another, so none is negative.
    pub(super) fn deadline(self, time: i64, now: Now) -> Option<i64> {
        let unix_ms = match self.unit {
            Unit::Seconds => time.checked_mul(1000)?,
            Unit::Milliseconds => time,
        };
        let unix_ms = match self.from {
            From::Now => unix_ms.checked_add(now.unix_ms())?,
            From::Epoch => unix_ms,
        };
        Some(now.deadline_of_unix_ms(unix_ms.max(0)).max(0))
    }

    /// The reverse, for replies.
    pub(super) fn tell(self, deadline: i64, now: Now) -> i64 {
        let ms = match self.from {
            From::Now => deadline.saturating_sub(now.ms()),
            From::Epoch => now.unix_ms_of_deadline(deadline),
        };
        let ms = ms.max(0);
        match self.unit {
            Unit::Seconds => ms / 1000 + i64::from(ms % 1000 >= 500),
            Unit::Milliseconds => ms,
        }
    }
}

/// `NX | XX | GT | LT`; XX may stand next to GT or LT.
#[derive(Clone, Copy, Default)]
pub(super) struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    pub(super) fn parse(mut args: Args<'_>) -> Result<Self> {
        let mut condition = Self::default();
        while let Some(option) = args.peek() {
            if args.keyword("nx") {
                condition.nx = true;
            } else if args.keyword("xx") {
                condition.xx = true;
            } else if args.keyword("gt") {
                condition.gt = true;
            } else if args.keyword("lt") {
                condition.lt = true;
            } else {
                let option = error::printable(option);
                return Err(Error::owned(format!("ERR Unsupported option {option}")));
            }
        }
        let Self { nx, xx, gt, lt } = condition;
        if nx && (xx || gt || lt) {
            return Err(error::NX_WITH_XX_GT_LT);
        }
        if gt && lt {
            return Err(error::GT_WITH_LT);
        }
        Ok(condition)
    }

    /// A key without an expiry counts as one that lives for ever.
    pub(super) fn holds(self, old: Option<i64>, new: i64) -> bool {
        let Self { nx, xx, gt, lt } = self;
        !(nx && old.is_some()
            || xx && old.is_none()
            || gt && old.is_none_or(|old| new <= old)
            || lt && old.is_some_and(|old| new >= old))
    }
}

const TTL: Command = Command {
    name: "ttl",
    syntax: "key",
    summary: "Returns the expiration time in seconds of a key.",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| tell(call, Scale { unit: Unit::Seconds, from: From::Now })),
    history: &[("2.8.0", "Added the -2 reply.")],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

const PTTL: Command = Command {
    name: "pttl",
    summary: "Returns the expiration time in milliseconds of a key.",
    since: "2.6.0",
    handler: Some(|call| tell(call, Scale { unit: Unit::Milliseconds, from: From::Now })),
    ..TTL
};

const EXPIRETIME: Command = Command {
    name: "expiretime",
    summary: "Returns the expiration time of a key as a Unix timestamp.",
    since: "7.0.0",
    handler: Some(|call| tell(call, Scale { unit: Unit::Seconds, from: From::Epoch })),
    history: &[],
    tips: &[],
    ..TTL
};

const PEXPIRETIME: Command = Command {
    name: "pexpiretime",
    summary: "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    handler: Some(|call| tell(call, Scale { unit: Unit::Milliseconds, from: From::Epoch })),
    ..EXPIRETIME
};

/// -2 for no key, -1 for no expiry.
fn tell(call: &mut Call<'_>, scale: Scale) -> Result {
    let key = call.args().required()?;
    let now = call.now;
    let answer = match call.inspect(key) {
        None => -2,
        Some(entry) => entry.expire_at().map_or(-1, |deadline| scale.tell(deadline, now)),
    };
    call.reply.int(answer);
    Ok(())
}

const PERSIST: Command = Command {
    name: "persist",
    syntax: "key",
    summary: "Removes the expiration time of a key.",
    since: "2.2.0",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(persist),
    ..Command::BASE
};

fn persist(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let found = call.entry_mut(key);
    let had_expiry = found.is_some_and(|found| found.entry().expire_at().is_some());
    if had_expiry {
        call.db_mut().persist(key);
        call.changed(key);
        call.event(Class::GENERIC, "persist", key);
    }
    call.reply.int(i64::from(had_expiry));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { us: 1_000_000_000, wall_offset_ms: 500 };

    #[test]
    fn times_become_deadlines_on_the_servers_timeline() {
        let deadline = |unit, from, time| Scale { unit, from }.deadline(time, NOW);
        assert_eq!(deadline(Unit::Seconds, From::Now, 5), Some(1_005_000));
        assert_eq!(deadline(Unit::Milliseconds, From::Now, -5), Some(999_995));
        assert_eq!(deadline(Unit::Seconds, From::Epoch, 2_000), Some(1_999_500));
        assert_eq!(deadline(Unit::Milliseconds, From::Epoch, -7), Some(0));
        assert_eq!(deadline(Unit::Seconds, From::Now, i64::MAX / 1000 + 1), None);
        assert_eq!(deadline(Unit::Seconds, From::Now, i64::MIN / 1000 - 1), None);
        assert_eq!(deadline(Unit::Milliseconds, From::Now, i64::MAX), None);
        assert_eq!(deadline(Unit::Milliseconds, From::Epoch, i64::MAX), Some(i64::MAX - 500));
    }

    #[test]
    fn what_was_set_is_told() {
        for unit in [Unit::Seconds, Unit::Milliseconds] {
            for from in [From::Now, From::Epoch] {
                let scale = Scale { unit, from };
                let deadline = scale.deadline(1_000_000, NOW).expect("in range");
                assert_eq!(scale.tell(deadline, NOW), 1_000_000);
            }
        }
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let told = |ms| Scale { unit: Unit::Seconds, from: From::Now }.tell(NOW.ms() + ms, NOW);
        assert_eq!([499, 500, 1_499, 1_500, -700].map(told), [0, 1, 1, 2, 0]);
        let forever = Scale { unit: Unit::Seconds, from: From::Epoch }.tell(i64::MAX, NOW);
        assert_eq!(forever, i64::MAX / 1000 + 1);
    }

    #[test]
    fn conditions_compare_with_the_old_expiry() {
        let condition = |nx, xx, gt, lt| Condition { nx, xx, gt, lt };
        let nx = condition(true, false, false, false);
        let xx = condition(false, true, false, false);
        let gt = condition(false, false, true, false);
        let lt = condition(false, false, false, true);
        let xx_lt = condition(false, true, false, true);
        for (condition, old, holds) in [
            (nx, None, true),
            (nx, Some(5), false),
            (xx, None, false),
            (xx, Some(5), true),
            (gt, None, false),
            (gt, Some(10), false),
            (gt, Some(9), true),
            (lt, None, true),
            (lt, Some(10), false),
            (lt, Some(11), true),
            (xx_lt, None, false),
            (xx_lt, Some(11), true),
        ] {
            assert_eq!(condition.holds(old, 10), holds);
        }
    }
}
