//! INFO: sections of `field:value` lines, in Valkey's order and formats.
//!
//! Fields of parts that are not built are there with what Redis shows for an instance that does not
//! use them, so that monitoring finds what it looks for. Departures: `redis_mode` besides Valkey's
//! `server_mode`, because exporters read the first; a turn of the event loop is a batch of one
//! connection, or a slice of background work.

mod data;
mod memory;
mod process;
mod stats;

use std::fmt::{Display, Write as _};

use super::spec::{Command, Flags, Group};
use crate::clock::Now;
use crate::engine::{Call, Client, Engine};
use crate::error::Result;
use crate::process::Process;

pub(super) const COMMANDS: &[Command] = &[INFO];

const INFO: Command = Command {
    name: "info",
    syntax: "[section [section ...]]",
    summary: "Returns information and statistics about the server.",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::DANGEROUS),
    handler: Some(info),
    history: &[("7.0.0", "Added support for taking multiple section arguments.")],
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

fn info(call: &mut Call<'_>) -> Result {
    let wanted = wanted(call.args());
    let process = call.engine.host.process();
    let ttls = data::average_ttls(call.engine, call.now);
    let view =
        View { engine: call.engine, client: call.client, process: &process, now: call.now, ttls };
    let mut text = Text::default();
    for section in wanted {
        text.section(section.title);
        (section.write)(&mut text, &view);
    }
    call.reply.verbatim("txt", text.0.as_bytes());
    Ok(())
}

/// What the sections are written from.
struct View<'a> {
    engine: &'a Engine,
    /// Who asks; not in the engine's table meanwhile.
    client: &'a Client,
    process: &'a Process,
    now: Now,
    /// By database.
    ttls: Vec<i64>,
}

impl View<'_> {
    /// Every connected client.
    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.engine.clients.iter().chain(std::iter::once(self.client))
    }
}

struct Section {
    name: &'static str,
    title: &'static str,
    shown: Shown,
    write: fn(&mut Text, &View<'_>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    ByDefault,
    /// Where everything is asked for.
    InAll,
    /// Only by its name.
    ByName,
}

const fn section(
    name: &'static str,
    title: &'static str,
    write: fn(&mut Text, &View<'_>),
) -> Section {
    Section { name, title, shown: Shown::ByDefault, write }
}

const fn on_demand(section: Section) -> Section {
    Section { shown: Shown::InAll, ..section }
}

const fn debugging(section: Section) -> Section {
    Section { shown: Shown::ByName, ..section }
}

/// In the order of the reply.
const SECTIONS: [Section; 16] = [
    section("server", "Server", process::server),
    on_demand(section("tls", "TLS", process::tls)),
    section("clients", "Clients", stats::clients),
    section("memory", "Memory", memory::memory),
    section("persistence", "Persistence", data::persistence),
    section("stats", "Stats", stats::stats),
    section("replication", "Replication", data::replication),
    section("cpu", "CPU", process::cpu),
    section("modules", "Modules", |_, _| {}),
    on_demand(section("commandstats", "Commandstats", stats::commands)),
    section("errorstats", "Errorstats", stats::errors),
    on_demand(section("latencystats", "Latencystats", stats::latencies)),
    section("cluster", "Cluster", data::cluster),
    on_demand(section("scriptingengines", "Scripting Engines", data::scripting_engines)),
    section("keyspace", "Keyspace", data::keyspace),
    debugging(section("debug", "Debug", stats::debug)),
];

/// The sections that the arguments name, each once.
fn wanted<'a>(args: impl Iterator<Item = &'a [u8]>) -> Vec<&'static Section> {
    let args: Vec<&[u8]> = args.collect();
    let is_wanted = |section: &&Section| {
        let by_default = section.shown == Shown::ByDefault;
        args.is_empty() && by_default
            || args.iter().any(|arg| match arg.to_ascii_lowercase().as_slice() {
                b"all" | b"everything" => section.shown != Shown::ByName,
                b"default" => by_default,
                b"module_list" => section.name == "modules",
                name => section.name.as_bytes() == name,
            })
    };
    SECTIONS.iter().filter(is_wanted).collect()
}

/// The reply being written.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A title; an empty line before all but the first.
    fn section(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.line(format_args!("# {title}"));
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    /// Several fields with the same value: what is not built, or not in use.
    fn each(&mut self, names: &[&str], value: impl Display) {
        for name in names {
            self.field(name, &value);
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.0, "{line}\r\n").expect("writing to a String does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &[&str], expected: &[&str]) {
        let names: Vec<_> = wanted(args.iter().map(|arg| arg.as_bytes()))
            .iter()
            .map(|section| section.name)
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn sections_come_in_their_own_order_and_once() {
        check(&["keyspace", "SERVER", "keyspace"], &["server", "keyspace"]);
        check(&["nosuch"], &[]);
        check(&["module_list"], &["modules"]);
        let of = |shown: &[Shown]| -> Vec<&str> {
            let sections = SECTIONS.iter().filter(|section| shown.contains(&section.shown));
            sections.map(|section| section.name).collect()
        };
        let all = of(&[Shown::ByDefault, Shown::InAll]);
        check(&["all"], &all);
        check(&["everything", "cpu"], &all);
        let by_default = of(&[Shown::ByDefault]);
        assert!(!by_default.contains(&"commandstats"));
        check(&[], &by_default);
        check(&["default"], &by_default);
        check(&["default", "commandstats", "latencystats", "tls", "scriptingengines"], &all);
        check(&["debug"], &["debug"]);
    }
}
