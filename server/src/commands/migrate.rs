//! MIGRATE: keys go to another server. What is sent and when they go from here is said in
//! [`Call::transfer`]'s room; here is what the client asks for.

use std::ops::Range;
use std::time::Duration;

use super::spec::{Access, Command, Find, Flags, Group, KeySpec};
use crate::engine::{Args, Call, Destination, Line, Transfer};
use crate::error::{self, Result};
use crate::number;
use crate::rdb::payload;
use crate::resp::Argv;

pub(super) const COMMANDS: &[Command] = &[MIGRATE];

/// Where the options begin, and the only key before them.
const OPTIONS: usize = 6;
const KEY: usize = 3;
/// How long the other server may take for a step where the client does not say.
const PATIENCE_MS: u64 = 1000;

const MIGRATE: Command = Command {
    name: "migrate",
    syntax: "host port:integer <key | \"\"> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]",
    summary: "Atomically transfers a key from one instance to another.",
    complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
    since: "2.6.0",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::DANGEROUS).union(Flags::NEVER_QUEUED),
    keys: &[
        KeySpec::one(KEY, Access::ReadWrite, &["access", "delete"]),
        KeySpec::one(2, Access::ReadWrite, &["access", "delete", "incomplete"])
            .behind_from_end("KEYS")
            .found(Find::Range { last: -1, step: 1 }),
    ],
    find_keys: Some(find_keys),
    handler: Some(migrate),
    secret: Some(is_secret),
    history: &[
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

/// The option at `at`, and how many arguments it has; KEYS has all the rest.
fn option(word: &[u8]) -> (&'static str, usize) {
    let options = [("copy", 0), ("replace", 0), ("auth", 1), ("auth2", 2), ("keys", usize::MAX)];
    let found = options.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.unwrap_or(("", 0))
}

fn find_keys(line: &[&[u8]]) -> Range<usize> {
    let mut at = OPTIONS;
    while let Some(word) = line.get(at) {
        match option(word) {
            // The command will be refused.
            ("keys", _) if !line[KEY].is_empty() => return 0..0,
            ("keys", _) => return at + 1..line.len(),
            (_, values) => at += 1 + values,
        }
    }
    KEY..KEY + 1
}

fn is_secret(argv: Argv<'_>, wanted: usize) -> bool {
    let mut at = OPTIONS;
    while let Some(word) = argv.get(at).filter(|_| at < wanted) {
        let values = match option(word) {
            ("keys", _) => return false,
            (_, values) => values,
        };
        if (at + 1..=at + values).contains(&wanted) {
            return true;
        }
        at += 1 + values;
    }
    false
}

fn migrate(call: &mut Call<'_>) -> Result {
    let order = Order::parse(call.args())?;
    if !call.may_block() {
        // The rest of the transaction cannot wait; a log has no such command.
        return Err(error::NOT_IN_TRANSACTION);
    }
    let (mut keys, mut restores) = (Vec::<Box<[u8]>>::new(), Vec::new());
    for key in order.keys {
        if write_restore(call, key, order.replace, &mut restores) {
            keys.push(key.into());
        }
    }
    if keys.is_empty() {
        call.reply.simple("NOKEY");
        return Ok(());
    }
    if call.settings().tls.cluster {
        crate::log::warning!("MIGRATE does not speak TLS yet, which tls-cluster asks for.");
        return Err(error::TARGET_UNREACHABLE);
    }
    let mut select = Vec::new();
    Line::of(&mut select, 2).word(b"SELECT").int(order.db).done();
    let transfer = Transfer {
        number: 0,
        to: Destination { host: order.host.into(), port: order.port.into() },
        patience: order.patience,
        auth: order.auth(),
        db: order.db,
        select,
        restores,
        keys: keys.len(),
    };
    call.transfer(keys, !order.copy, transfer)
}

/// Adds the command that makes the key elsewhere; whether there is such a key.
fn write_restore(call: &mut Call<'_>, key: &[u8], replace: bool, out: &mut Vec<u8>) -> bool {
    let (compress, now) = (call.settings().rdb.compress, call.now);
    let Some(entry) = call.read(key) else { return false };
    let payload = payload::dump(entry.value().view(), compress, now);
    // What the import source still sees may be due; it is not to stay for ever.
    let ttl_ms = entry.expire_at().map_or(0, |at| at.saturating_sub(now.ms()).max(1));
    let mut line = Line::of(out, if replace { 5 } else { 4 });
    line.word(b"RESTORE").word(key).int(ttl_ms).word(&payload);
    if replace {
        line.word(b"REPLACE");
    }
    true
}

/// What the client asks for.
struct Order<'a> {
    host: &'a [u8],
    port: &'a [u8],
    keys: Args<'a>,
    db: i64,
    patience: Duration,
    copy: bool,
    replace: bool,
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
}

impl<'a> Order<'a> {
    /// Options first, as Valkey looks at them before the numbers.
    fn parse(mut args: Args<'a>) -> Result<Self> {
        let (host, port) = (args.required()?, args.required()?);
        let keys = args.split_off(1)?;
        let (db, timeout) = (args.required()?, args.required()?);
        let patience = Duration::ZERO;
        let (copy, replace, user, password) = (false, false, None, None);
        let mut order = Self { host, port, keys, db: 0, patience, copy, replace, user, password };
        order.take_options(args)?;
        let int = |text| number::parse_int(text).ok_or(error::NOT_INTEGER);
        let patience_ms = u64::try_from(int(timeout)?).ok().filter(|&ms| ms > 0);
        order.patience = Duration::from_millis(patience_ms.unwrap_or(PATIENCE_MS));
        order.db = int(db)?;
        Ok(order)
    }

    fn take_options(&mut self, mut args: Args<'a>) -> Result {
        while let Some(word) = args.next() {
            match option(word) {
                ("copy", _) => self.copy = true,
                ("replace", _) => self.replace = true,
                ("auth", _) => self.password = Some(args.required()?),
                ("auth2", _) => {
                    self.user = Some(args.required()?);
                    self.password = Some(args.required()?);
                }
                ("keys", _) if self.keys.peek() != Some(b"") => {
                    return Err(error::MIGRATE_KEY_BESIDE_KEYS);
                }
                ("keys", _) => {
                    self.keys = args;
                    break;
                }
                _ => return Err(error::SYNTAX),
            }
        }
        Ok(())
    }

    /// AUTH as a command; nothing if nobody asked for it.
    fn auth(&self) -> Vec<u8> {
        let mut auth = Vec::new();
        if let Some(password) = self.password {
            let words = self.user.into_iter().chain([password]);
            let len = 2 + usize::from(self.user.is_some());
            Line::of(&mut auth, len).word(b"AUTH").words(words).done();
        }
        auth
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    #[test]
    fn arguments_are_refused_in_valkeys_words_and_order() {
        let mut world = World::new();
        let client = world.connect();
        let beside =
            "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
        for (command, reply) in [
            ("MIGRATE h 1 k 0", "-ERR wrong number of arguments for 'migrate' command"),
            ("MIGRATE h 1 k x x WHAT", "-ERR syntax error"),
            ("MIGRATE h 1 k 0 1 AUTH", "-ERR syntax error"),
            ("MIGRATE h 1 k 0 1 AUTH2 user", "-ERR syntax error"),
            ("MIGRATE h 1 k x x KEYS a", beside),
            ("MIGRATE h 1 k x 0 COPY REPLACE", "-ERR value is not an integer or out of range"),
            ("MIGRATE h 1 k 0 x AUTH keys", "-ERR value is not an integer or out of range"),
            ("MIGRATE h 1 k 0 1", "+NOKEY"),
            ("MIGRATE h 1 \"\" 0 1 copy keys", "+NOKEY"),
            ("MIGRATE h 1 \"\" 0 1 KEYS a keys", "+NOKEY"),
        ] {
            assert_eq!(world.run(client, command), format!("{reply}\r\n"), "{command}");
        }
    }

    #[test]
    fn keys_are_found_behind_the_first_keys_that_is_no_secret() {
        let mut world = World::new();
        let client = world.connect();
        for (line, keys) in [
            ("h 1 k 0 1 COPY", "*1\r\n$1\r\nk\r\n"),
            ("h 1 \"\" 0 1 COPY KEYS a KEYS", "*2\r\n$1\r\na\r\n$4\r\nKEYS\r\n"),
            ("h 1 k 0 1 KEYS a", "-ERR Invalid arguments specified for command\r\n"),
            ("h 1 \"\" 0 1 AUTH KEYS keys a", "*1\r\n$1\r\na\r\n"),
            ("h 1 \"\" 0 1 AUTH2 KEYS KEYS REPLACE", "*1\r\n$0\r\n\r\n"),
        ] {
            let reply = world.run(client, &format!("COMMAND GETKEYS MIGRATE {line}"));
            assert_eq!(reply, keys, "{line}");
        }
    }

    #[test]
    fn passwords_are_hidden_from_monitors() {
        let mut world = World::new();
        let (client, monitor) = (world.connect(), world.connect());
        world.run(monitor, "MONITOR");
        world.run(client, "MIGRATE h 1 \"\" 0 1 AUTH2 me secret COPY AUTH word KEYS auth k");
        let line = world.messages(monitor);
        let shown = r#""" "0" "1" "AUTH2" "(redacted)" "(redacted)" "COPY" "AUTH" "(redacted)" "KEYS" "auth" "k""#;
        assert!(line.contains(shown), "{line}");
    }
}
