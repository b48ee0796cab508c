//! Which clients CLIENT LIST and CLIENT KILL mean: all conditions must hold.

use std::mem::discriminant;

use super::line;
use crate::engine::{Address, Args, Client, Tracking};
use crate::error::{self, Error, Result};
use crate::number;

/// Who asks, and when.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) id: u64,
    pub(super) now_ms: i64,
    pub(super) tracking: &'a Tracking,
}

#[derive(Default)]
pub(super) struct Filter<'a> {
    /// Conditions, each with whether it is the opposite that must hold (`NOT-…`).
    conditions: Vec<(bool, Condition<'a>)>,
    skip_asker: Option<bool>,
}

enum Condition<'a> {
    Ids(Vec<i64>),
    Address(&'a [u8]),
    LocalAddress(&'a [u8]),
    Ip(&'a [u8]),
    Kind(Kind),
    User(&'a [u8]),
    MaxAge(i64),
    Idle(i64),
    Flags(&'a [u8]),
    Name(&'a [u8]),
    LibName(&'a [u8]),
    LibVersion(&'a [u8]),
    Database(usize),
    Capability(&'a [u8]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Replica,
    Primary,
    Pubsub,
}

impl<'a> Filter<'a> {
    /// `CLIENT KILL addr`, the old form.
    pub(super) fn address(address: &'a [u8]) -> Self {
        Self { conditions: vec![(false, Condition::Address(address))], skip_asker: Some(false) }
    }

    pub(super) fn parse(mut args: Args<'a>, databases: usize) -> Result<Self> {
        let mut filter = Self::default();
        while let Some(option) = args.next() {
            let option = option.to_ascii_lowercase();
            let (negated, word) = match option.strip_prefix(b"not-") {
                Some(word) => (true, word),
                None => (false, option.as_slice()),
            };
            if word == b"id" {
                filter.add(negated, Condition::Ids(ids(&mut args)?));
                continue;
            }
            let value = args.next().ok_or(error::SYNTAX)?;
            if (negated, word) == (false, b"skipme") {
                filter.skip_asker = Some(yes_or_no(value)?);
                continue;
            }
            let condition = condition(negated, word, value, databases)?;
            filter.add(negated, condition);
        }
        Ok(filter)
    }

    /// Of a condition that is named twice the last value counts; ids add up.
    fn add(&mut self, negated: bool, condition: Condition<'a>) {
        let kind = (negated, discriminant(&condition));
        let known =
            self.conditions.iter_mut().find(|(negated, c)| (*negated, discriminant(c)) == kind);
        match (known, condition) {
            (Some((_, Condition::Ids(ids))), Condition::Ids(more)) => ids.extend(more),
            (Some((_, known)), condition) => *known = condition,
            (None, condition) => self.conditions.push((negated, condition)),
        }
    }

    /// Unless SKIPME says otherwise, CLIENT KILL spares who calls it.
    pub(super) fn sparing_the_asker(mut self) -> Self {
        self.skip_asker.get_or_insert(true);
        self
    }

    pub(super) fn matches(&self, client: &Client, asker: Asker<'_>) -> bool {
        if client.id == asker.id && self.skip_asker == Some(true) {
            return false;
        }
        self.conditions
            .iter()
            .all(|(negated, condition)| condition.holds(client, asker) != *negated)
    }
}

fn condition<'a>(
    negated: bool,
    word: &[u8],
    value: &'a [u8],
    databases: usize,
) -> Result<Condition<'a>> {
    let shown = || error::printable(value);
    Ok(match word {
        b"addr" => Condition::Address(value),
        b"laddr" => Condition::LocalAddress(value),
        b"ip" => Condition::Ip(value),
        b"name" => Condition::Name(value),
        b"lib-name" => Condition::LibName(value),
        b"lib-ver" => Condition::LibVersion(value),
        b"type" => Condition::Kind(kind(value)?),
        // There is one user until ACLs are built.
        b"user" if value == b"default" => Condition::User(value),
        b"user" => return Err(Error::owned(format!("ERR No such user '{}'", shown()))),
        b"maxage" if !negated => Condition::MaxAge(seconds(value, "maxage")?),
        b"idle" if !negated => Condition::Idle(seconds(value, "idle")?),
        b"flags" => {
            if !value.iter().all(|letter| line::FLAGS.contains(letter)) {
                let place = if negated { "NOT-FLAGS" } else { "provided" };
                let text = format!("ERR Unknown flags found in the {place} filter: {}", shown());
                return Err(Error::owned(text));
            }
            Condition::Flags(value)
        }
        b"capa" => {
            if value.iter().any(|letter| *letter != b'r') {
                let place = if negated { "NOT-CAPA" } else { "provided" };
                let text = format!("ERR Unknown capa found in the {place} filter: {}", shown());
                return Err(Error::owned(text));
            }
            Condition::Capability(value)
        }
        b"db" => {
            let index = number::parse_int(value).ok_or(error::NOT_INTEGER)?;
            let index = usize::try_from(index).ok().filter(|&index| index < databases);
            let name = if negated { "NOT-DB" } else { "DB" };
            Condition::Database(index.ok_or_else(|| {
                let last = databases - 1;
                Error::owned(format!("ERR {name} number should be between 0 and {last}"))
            })?)
        }
        _ => return Err(error::SYNTAX),
    })
}

/// Ids up to the first argument that is no number.
fn ids(args: &mut Args<'_>) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    while let Some(id) = args.peek().and_then(number::parse_int) {
        if id < 1 {
            return Err(Error::text("ERR client-id should be greater than 0"));
        }
        ids.push(id);
        args.next();
    }
    Ok(ids)
}

fn seconds(value: &[u8], what: &str) -> Result<i64> {
    let seconds = number::parse_int(value)
        .ok_or_else(|| Error::owned(format!("ERR {what} is not an integer or out of range")))?;
    if seconds <= 0 {
        return Err(Error::owned(format!("ERR {what} should be greater than 0")));
    }
    Ok(seconds)
}

fn yes_or_no(value: &[u8]) -> Result<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(error::SYNTAX),
    }
}

fn kind(name: &[u8]) -> Result<Kind> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Kind::Normal),
        b"slave" | b"replica" => Ok(Kind::Replica),
        b"master" | b"primary" => Ok(Kind::Primary),
        b"pubsub" => Ok(Kind::Pubsub),
        _ => {
            let name = error::printable(name);
            Err(Error::owned(format!("ERR Unknown client type '{name}'")))
        }
    }
}

impl Condition<'_> {
    fn holds(&self, client: &Client, asker: Asker<'_>) -> bool {
        let now_ms = asker.now_ms;
        let is = |address: &Address, text: &[u8]| address.to_string().as_bytes() == text;
        match self {
            Condition::Ids(ids) => ids.contains(&(client.id as i64)),
            Condition::Address(text) => is(&client.address, text),
            Condition::LocalAddress(text) => is(&client.local_address, text),
            Condition::Ip(ip) => match &client.address {
                Address::Tcp(address) => address.ip().to_string().as_bytes() == *ip,
                Address::Unix(_) => false,
            },
            // Replication is not built yet.
            Condition::Kind(kind) => match kind {
                Kind::Normal => client.subscriptions.is_empty(),
                Kind::Pubsub => !client.subscriptions.is_empty(),
                Kind::Primary | Kind::Replica => false,
            },
            Condition::User(user) => *user == b"default",
            Condition::MaxAge(age_s) => (now_ms - client.created_ms) / 1000 >= *age_s,
            Condition::Idle(idle_s) => (now_ms - client.last_active_ms) / 1000 >= *idle_s,
            Condition::Flags(letters) => {
                let set = line::flags(client, asker.tracking);
                letters.iter().all(|letter| set.as_bytes().contains(letter))
            }
            Condition::Name(name) => client.name == *name,
            Condition::LibName(name) => client.lib_name == *name,
            Condition::LibVersion(version) => client.lib_version == *version,
            Condition::Database(index) => client.db == *index,
            Condition::Capability(letters) => letters.is_empty() || client.can_redirect,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    #[test]
    fn of_a_condition_named_twice_the_last_counts_and_ids_add_up() {
        let mut world = World::new();
        let asker = world.connect();
        let others = [world.connect(), world.connect()];
        for (client, name) in others.into_iter().zip(["a", "b"]) {
            world.run(client, &format!("CLIENT SETNAME {name}"));
        }
        let both = world.run(asker, "CLIENT LIST ID 2 ID 3");
        assert!(both.contains("id=2 ") && both.contains("id=3 "), "{both}");
        let left = world.run(asker, "CLIENT LIST NOT-NAME b NOT-NAME a");
        assert!(left.contains("id=1 ") && left.contains("id=3 ") && !left.contains("id=2 "));
        assert_eq!(world.run(asker, "CLIENT KILL NAME a NAME b"), ":1\r\n");
        let left = world.run(asker, "CLIENT LIST");
        assert!(left.contains("id=2 ") && !left.contains("id=3 "), "who is killed is gone: {left}");
    }
}
