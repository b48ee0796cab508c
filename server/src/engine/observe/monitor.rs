//! MONITOR: every command that is executed, told to whoever asked for it.

use std::fmt::Write as _;

use crate::clock::Now;
use crate::commands::{Flags, Id};
use crate::engine::{Address, Client, Engine, Slot};
use crate::error::REDACTED;
use crate::resp::Argv;

/// Clients that watch, the longest watching first.
#[derive(Debug, Default)]
pub struct Monitors(Vec<Slot>);

impl Monitors {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, slot: Slot) {
        self.0.push(slot);
    }

    pub fn remove(&mut self, slot: Slot) {
        self.0.retain(|other| *other != slot);
    }
}

impl Engine {
    /// Tells of a command that was executed.
    #[cold]
    pub(in crate::engine) fn tell_monitors(
        &mut self,
        client: &Client,
        id: Id,
        argv: Argv<'_>,
        now: Now,
    ) {
        let hidden = Flags::ADMIN | Flags::SKIP_MONITOR;
        if id.entry().command.flags.intersects(hidden) {
            return;
        }
        let line = line(client, id, argv, now);
        for slot in &self.monitors.0 {
            self.clients.post(*slot, |reply| reply.simple(&line));
        }
    }
}

/// `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`
fn line(client: &Client, id: Id, argv: Argv<'_>, now: Now) -> String {
    let unix_us = now.us + now.wall_offset_ms * 1000;
    let (seconds, us) = (unix_us.div_euclid(1_000_000), unix_us.rem_euclid(1_000_000));
    let mut line = String::with_capacity(64);
    let db = client.db;
    let head = match &client.address {
        Address::Tcp(address) => write!(line, "{seconds}.{us:06} [{db} {address}]"),
        Address::Unix(path) => write!(line, "{seconds}.{us:06} [{db} unix:{path}]"),
    };
    head.expect("into a String");
    for (at, arg) in argv.iter().enumerate() {
        line.push(' ');
        let shown = if id.entry().command.hides(argv, at) { REDACTED } else { arg };
        quote(shown, &mut line);
    }
    line
}

/// As a C string literal: what is not plain ASCII is escaped.
fn quote(bytes: &[u8], line: &mut String) {
    line.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => line.extend(['\\', char::from(byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => write!(line, "\\x{byte:02x}").expect("into a String"),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::World;

    #[test]
    fn each_command_is_told_once_it_is_executed() {
        let mut world = World::new();
        let (watcher, client) = (world.connect(), world.connect());
        assert_eq!(world.run(watcher, "MONITOR"), "+OK\r\n");
        let head = "+1700000000.000000 [0 127.0.0.1:50000]";
        for command in ["SET a \"b\\x00\\n\"", "CONFIG GET port", "NOSUCH", "GET"] {
            world.run(client, command);
        }
        assert_eq!(
            world.messages(watcher),
            format!("{head} \"SET\" \"a\" \"b\\x00\\n\"\r\n"),
            "neither what is the administrator's business nor what was refused"
        );
        for command in ["MULTI", "INCR n", "SELECT 1", "EXEC"] {
            world.run(client, command);
        }
        let other = head.replace("[0", "[1");
        assert_eq!(
            world.messages(watcher),
            format!(
                "{head} \"MULTI\"\r\n{head} \"INCR\" \"n\"\r\n{other} \"SELECT\" \"1\"\r\n{other} \"EXEC\"\r\n"
            ),
            "EXEC comes behind what it executed"
        );
        world.run(watcher, "RESET");
        world.run(client, "PING");
        assert_eq!(world.messages(watcher), "");
    }

    #[test]
    fn one_that_waits_is_told_when_it_was_sent() {
        let mut world = World::new();
        let (watcher, waiter, client) = (world.connect(), world.connect(), world.connect());
        world.run(watcher, "MONITOR");
        world.run(waiter, "BLPOP l 0");
        assert!(world.messages(watcher).ends_with(" \"BLPOP\" \"l\" \"0\"\r\n"));
        world.run(client, "RPUSH l x");
        assert!(world.messages(waiter).contains("x"));
        let told = world.messages(watcher);
        assert!(told.contains("RPUSH") && !told.contains("BLPOP"), "{told}");
    }

    #[test]
    fn secrets_are_not_told() {
        let mut world = World::new();
        let (watcher, client) = (world.connect(), world.connect());
        world.run(watcher, "MONITOR");
        for (command, shown) in [
            ("AUTH secret", "\"AUTH\" \"(redacted)\""),
            ("AUTH user secret", "\"AUTH\" \"(redacted)\" \"(redacted)\""),
            (
                "HELLO 3 SETNAME n AUTH user secret",
                "\"HELLO\" \"3\" \"SETNAME\" \"n\" \"AUTH\" \"(redacted)\" \"(redacted)\"",
            ),
        ] {
            world.run(client, command);
            let told = world.messages(watcher);
            assert!(told.ends_with(&format!("{shown}\r\n")), "{told}");
        }
    }
}
