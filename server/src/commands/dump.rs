//! DUMP and RESTORE: values as bytes that Redis and Valkey exchange too.

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call, access};
use crate::error::{self, Error, Result};
use crate::keyspace::Value;
use crate::rdb::file::Access as FileAccess;
use crate::rdb::payload::{self, Refused, Trust};
use crate::rdb::{Counted, Writer, write_value};

pub(super) const COMMANDS: &[Command] = &[DUMP, RESTORE];

const DUMP: Command = Command {
    name: "dump",
    syntax: "key",
    summary: "Returns a serialized representation of the value stored at a key.",
    complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
    since: "2.6.0",
    group: Group::Generic,
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(dump),
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn dump(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let (compress, now) = (call.settings().rdb.compress, call.now);
    let (found, reply) = call.read_and_reply(key);
    match found {
        Some(entry) => reply.bulk(&payload::dump(entry.value().view(), compress, now)),
        None => reply.null(),
    }
    Ok(())
}

const RESTORE: Command = Command {
    name: "restore",
    syntax: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    summary: "Creates a key from the serialized representation of a value.",
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
    since: "2.6.0",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::DANGEROUS),
    keys: &[KeySpec::one(1, Access::Overwrite, &["update"])],
    handler: Some(restore),
    history: &[
        ("3.0.0", "Added the `REPLACE` modifier."),
        ("5.0.0", "Added the `ABSTTL` modifier."),
        ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
    ],
    ..Command::BASE
};

fn restore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, ttl, serialized) = (args.required()?, args.required()?, args.required()?);
    let options = Options::parse(args)?;
    if !options.replace && call.peek(key).is_some() {
        return Err(error::BUSY_KEY);
    }
    let expire_at = options.expire_at(ttl, call)?;
    let value = read_payload(call, serialized)?;
    let replaced = options.replace && call.remove(key);
    if expire_at.is_some_and(|at| call.is_over(at)) {
        if replaced {
            call.changed(key);
            call.log_removal(key);
            call.event(Class::GENERIC, "del", key);
        }
    } else {
        put(call, key, value, expire_at, options.imported);
        log(call, key, expire_at, serialized);
    }
    call.reply.ok();
    Ok(())
}

/// With the time when it expires; whatever was there is replaced.
fn log(call: &mut Call<'_>, key: &[u8], expire_at: Option<i64>, serialized: &[u8]) {
    let unix_ms = expire_at.map(|deadline| call.now.unix_ms_of_deadline(deadline));
    call.log(if unix_ms.is_some() { 6 } else { 5 }, |line| {
        line.word(b"RESTORE").word(key).int(unix_ms.unwrap_or(0)).word(serialized).word(b"REPLACE");
        if unix_ms.is_some() {
            line.word(b"ABSTTL");
        }
    });
}

fn put(
    call: &mut Call<'_>,
    key: &[u8],
    value: Value,
    expire_at: Option<i64>,
    imported: Option<FileAccess>,
) {
    call.set_value(key, value, expire_at);
    let access = imported.and_then(|it| access::import(it, call.settings(), call.now));
    if let (Some(entry), Some(access)) = (call.db().find(key), access) {
        entry.set_access(access);
    }
    call.changed(key);
    call.signal(key);
    call.event(Class::GENERIC, "restore", key);
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    imported: Option<FileAccess>,
}

impl Options {
    fn parse(mut args: Args<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !args.is_empty() {
            let has_value = args.left() >= 2;
            let (idle, frequency) = match options.imported {
                None => (true, true),
                Some(FileAccess::Idle(_)) => (true, false),
                Some(FileAccess::Frequency(_)) => (false, true),
            };
            if args.keyword("replace") {
                options.replace = true;
            } else if args.keyword("absttl") {
                options.absolute = true;
            } else if has_value && idle && args.keyword("idletime") {
                let seconds = u64::try_from(args.int()?).map_err(|_| error::INVALID_IDLETIME)?;
                options.imported = Some(FileAccess::Idle(seconds));
            } else if has_value && frequency && args.keyword("freq") {
                let frequency = u8::try_from(args.int()?).map_err(|_| error::INVALID_FREQ)?;
                options.imported = Some(FileAccess::Frequency(frequency));
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }

    /// `ttl` in milliseconds, or Unix time; zero is never.
    fn expire_at(&self, ttl: &[u8], call: &Call<'_>) -> Result<Option<i64>> {
        let ttl = crate::number::parse_int(ttl).ok_or(error::NOT_INTEGER)?;
        Ok(match ttl {
            ..0 => return Err(error::INVALID_TTL),
            0 => None,
            unix_ms if self.absolute => Some(call.now.deadline_of_unix_ms(unix_ms)),
            ms => Some(call.now.ms().saturating_add(ms)),
        })
    }
}

fn read_payload(call: &Call<'_>, serialized: &[u8]) -> Result<Value> {
    let settings = call.settings();
    let trust = Trust {
        any_version: settings.rdb.any_version,
        no_checksum: call.engine.checksums_are_skipped,
    };
    payload::restore(serialized, trust, &call.engine.value_limits(), call.now).map_err(|refused| {
        match refused {
            Refused::VersionOrChecksum => error::WRONG_PAYLOAD,
            Refused::ForeignForm(byte) => {
                Error::owned(format!("ERR Unsupported foreign data type: {byte}"))
            }
            Refused::BadFormat(why) => {
                crate::log::verbose!("RESTORE refuses a value: {why}");
                error::BAD_DATA_FORMAT
            }
        }
    })
}

/// Bytes of a value in RDB without its form: DEBUG OBJECT.
pub(super) fn serialized_len(call: &Call<'_>, key: &[u8]) -> Option<usize> {
    let value = call.db().find(key)?.value();
    let mut writer = Writer::new(Counted::default(), call.settings().rdb.compress, call.now);
    write_value(&mut writer, value.view());
    Some(writer.into_sink().0)
}

#[cfg(test)]
mod tests {
    use crate::engine::Slot;
    use crate::engine::testing::World;

    /// DUMP's answer as a quoted argument.
    fn dumped(world: &mut World, client: Slot, key: &str) -> String {
        let (db, now) = (world.engine.keyspace.db(0), world.now);
        let value = db.find(key.as_bytes()).expect("there").value();
        let payload = crate::rdb::payload::dump(value.view(), true, now);
        let bytes: String = payload.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let len = payload.len();
        assert!(world.run(client, &format!("DUMP {key}")).starts_with(&format!("${len}\r\n")));
        format!("\"{bytes}\"")
    }

    fn world() -> (World, Slot, String) {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET a text");
        let payload = dumped(&mut world, client, "a");
        (world, client, payload)
    }

    #[test]
    fn errors_come_in_the_order_of_valkey() {
        let (mut world, client, payload) = world();
        for (command, reply) in [
            ("RESTORE a x bad", "-BUSYKEY Target key name already exists."),
            ("RESTORE a x bad WHAT", "-ERR syntax error"),
            ("RESTORE b x bad", "-ERR value is not an integer or out of range"),
            ("RESTORE b -1 bad", "-ERR Invalid TTL value, must be >= 0"),
            ("RESTORE b 0 bad", "-ERR DUMP payload version or checksum are wrong"),
            ("RESTORE b 0 bad IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
            ("RESTORE b 0 bad IDLETIME x", "-ERR value is not an integer or out of range"),
            ("RESTORE b 0 bad IDLETIME", "-ERR syntax error"),
            ("RESTORE b 0 bad FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE b 0 bad FREQ 1 IDLETIME 1", "-ERR syntax error"),
            ("RESTORE b 0 bad IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("RESTORE b 0", "-ERR wrong number of arguments for 'restore' command"),
            ("DUMP b", "$-1"),
        ] {
            assert_eq!(world.run(client, command), format!("{reply}\r\n"), "{command}");
        }
        assert_eq!(world.run(client, &format!("RESTORE b 0 {payload}")), "+OK\r\n");
        assert_eq!(world.run(client, "GET b"), "$4\r\ntext\r\n");
        world.run(client, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
        for (bytes, reply) in [
            (r"\x1a\x00\x0c\x00", "-ERR Unsupported foreign data type: 26"),
            (r"\x02\x00\x09\x00", "-ERR Bad data format"),
        ] {
            let command = format!(r#"RESTORE c 0 "{bytes}12345678""#);
            assert_eq!(world.run(client, &command), format!("{reply}\r\n"));
        }
    }

    #[test]
    fn a_key_comes_back_with_its_time_and_its_accesses() {
        let (mut world, client, payload) = world();
        let unix_ms = world.now.unix_ms();
        for (options, command, reply) in [
            ("0".to_owned(), "PTTL b", ":-1"),
            ("5000".to_owned(), "PTTL b", ":5000"),
            (format!("{} ABSTTL", unix_ms + 700), "PTTL b", ":700"),
            (i64::MAX.to_string(), "EXISTS b", ":1"),
            (format!("{} ABSTTL", unix_ms - 1), "EXISTS b", ":0"),
        ] {
            let restore = match options.split_once(' ') {
                Some((ttl, word)) => format!("RESTORE b {ttl} {payload} {word} REPLACE"),
                None => format!("RESTORE b {options} {payload} REPLACE"),
            };
            assert_eq!(world.run(client, &restore), "+OK\r\n");
            assert_eq!(world.run(client, command), format!("{reply}\r\n"), "{options}");
        }
        let idle = format!("RESTORE b 0 {payload} REPLACE IDLETIME 1000");
        world.run(client, &idle);
        assert_eq!(world.run(client, "OBJECT IDLETIME b"), ":1000\r\n");
        world.run(client, "CONFIG SET maxmemory-policy allkeys-lfu");
        world.run(client, &format!("RESTORE b 0 {payload} FREQ 100 REPLACE"));
        assert_eq!(world.run(client, "OBJECT FREQ b"), ":100\r\n");
    }

    #[test]
    fn a_value_that_is_over_only_removes_what_it_replaces() {
        let (mut world, client, payload) = world();
        let listener = world.connect();
        world.run(client, "CONFIG SET notify-keyspace-events EA");
        world.run(listener, "PSUBSCRIBE __keyevent@0__:*");
        let told = |world: &mut World, command: &str| {
            let dirty = world.engine.stats.dirty;
            assert_eq!(world.run(client, command), "+OK\r\n");
            (world.messages(listener), world.engine.stats.dirty - dirty)
        };
        let (messages, dirty) = told(&mut world, &format!("RESTORE b 1 {payload} ABSTTL"));
        assert_eq!((messages.as_str(), dirty), ("", 0));
        let (messages, dirty) = told(&mut world, &format!("RESTORE a 1 {payload} ABSTTL REPLACE"));
        assert!(messages.contains(":del\r\n$1\r\na") && dirty == 1, "{messages}");
        let (messages, dirty) = told(&mut world, &format!("RESTORE a 0 {payload}"));
        assert!(messages.contains(":restore\r\n$1\r\na") && dirty == 1, "{messages}");
    }

    #[test]
    fn whoever_waits_for_a_list_gets_it() {
        let (mut world, client, _) = world();
        world.run(client, "RPUSH l element");
        let payload = dumped(&mut world, client, "l");
        let waiter = world.connect();
        world.run(waiter, "BLPOP m 0");
        world.run(client, &format!("RESTORE m 0 {payload}"));
        assert_eq!(world.messages(waiter), "*2\r\n$1\r\nm\r\n$7\r\nelement\r\n");
        assert_eq!(world.run(client, "EXISTS m"), ":0\r\n");
    }

    #[test]
    fn fields_that_are_due_go_after_a_restore_too() {
        let (mut world, client, _) = world();
        world.run(client, "HSETEX h PX 50 FIELDS 1 f v");
        let payload = dumped(&mut world, client, "h");
        world.run(client, "DEL h");
        world.run(client, &format!("RESTORE h 0 {payload}"));
        assert_eq!(world.run(client, "HGET h f"), "$1\r\nv\r\n");
        world.pass_ms(60);
        world.tick();
        assert_eq!(world.run(client, "EXISTS h"), ":0\r\n");
    }
}
