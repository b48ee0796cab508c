//! Every command of the server. A room holds one group's handlers and, next to each, its declaration;
//! [`TABLE`] is their union with what derives from it.
//!
//! Adding a command: write its `const` and handler in its room, name it in that room's `COMMANDS`.

mod brief;
mod short;
mod spec;

mod bitmap;
mod client;
mod cluster;
mod command;
mod command_log;
mod config;
mod connection;
mod debug;
mod dump;
mod expire;
mod generic;
mod geo;
mod hash;
mod help;
#[cfg(test)]
mod history;
mod hyperloglog;
mod info;
mod latency;
mod list;
mod lolwut;
mod memory;
mod migrate;
mod monitor;
mod object;
mod persistence;
mod pubsub;
mod rename;
mod scan;
mod server;
mod set;
mod sort;
mod sorted_set;
mod stream;
mod string;
mod transactions;
mod wait;

use std::sync::LazyLock;

use short::Short;

use crate::config::Rename;

pub use spec::{Access, Command, Find, Flags, Group, Handler, KeySpec, LastOf, categories};

const ROOMS: &[&[Command]] = &[
    bitmap::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    command::COMMANDS,
    command_log::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    dump::COMMANDS,
    expire::COMMANDS,
    generic::COMMANDS,
    hash::COMMANDS,
    geo::COMMANDS,
    hyperloglog::COMMANDS,
    info::COMMANDS,
    latency::COMMANDS,
    lolwut::COMMANDS,
    list::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    monitor::COMMANDS,
    object::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    rename::COMMANDS,
    scan::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    stream::COMMANDS,
    sort::COMMANDS,
    sorted_set::COMMANDS,
    string::COMMANDS,
    transactions::COMMANDS,
    wait::COMMANDS,
];

/// A command's or subcommand's place in [`TABLE`]; statistics are kept by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u16);

impl Id {
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    #[inline]
    pub fn entry(self) -> &'static Entry {
        &TABLE.entries[self.index()]
    }
}

/// A declared command with what follows from the declaration.
#[derive(Debug)]
pub struct Entry {
    pub command: &'static Command,
    /// `get`, or `client|kill` for a subcommand.
    pub full_name: String,
    pub arity: i32,
    /// The container of a subcommand.
    pub parent: Option<Id>,
    /// Its work is small whatever the data is like.
    pub brief: bool,
    /// Ids of the subcommands.
    pub subcommands: Vec<Id>,
}

impl Entry {
    pub fn accepts(&self, argc: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { argc == least } else { argc >= least }
    }
}

#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
}

pub static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut table = Self { entries: Vec::new() };
        for command in ROOMS.iter().copied().flatten() {
            let parent = table.add(command, None);
            for subcommand in command.subcommands {
                let child = table.add(subcommand, Some(parent));
                table.entries[parent.index()].subcommands.push(child);
            }
        }
        table
    }

    fn add(&mut self, command: &'static Command, parent: Option<Id>) -> Id {
        let id = Id(u16::try_from(self.entries.len()).expect("fewer than 65536 commands"));
        let (full_name, name_words) = match parent {
            Some(parent) => {
                (format!("{}|{}", self.entries[parent.index()].command.name, command.name), 2)
            }
            None => (command.name.to_owned(), 1),
        };
        let arity = match (command.handler, command.subcommands) {
            // A container without a handler of its own wants at least a subcommand.
            (None, [_, ..]) => -2,
            _ => spec::arity(command.syntax, name_words),
        };
        let brief = parent.is_none() && brief::BRIEF.contains(&command.name);
        let subcommands = Vec::new();
        self.entries.push(Entry { command, full_name, arity, parent, brief, subcommands });
        id
    }

    /// How many commands and subcommands there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Every command, containers before their subcommands.
    pub fn all(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.entries.len()).map(|index| Id(index as u16))
    }

    /// Commands that are nobody's subcommand.
    pub fn top_level(&self) -> impl Iterator<Item = Id> + '_ {
        self.all().filter(|id| self.entries[id.index()].parent.is_none())
    }
}

/// Finds a command by the name that clients use, which `rename-command` may have changed.
///
/// Open addressing over lower-cased names of two words each: a handful of instructions for each command
/// executed.
#[derive(Clone, Debug)]
pub struct Names {
    slots: Vec<Option<(Short, Id)>>,
    /// Names that are not short.
    long: Vec<(Box<str>, Id)>,
    /// Whether clients call some commands by names that are not their own.
    any_renamed: bool,
}

const SLOTS: usize = 1024;

impl Default for Names {
    fn default() -> Self {
        Self::with_renames(&[])
    }
}

impl Names {
    /// The command called `name`, in any case.
    pub fn find(&self, name: &[u8]) -> Option<Id> {
        let Some(short) = Short::of(name) else { return self.find_long(name) };
        let mut slot = short.hash() % SLOTS;
        loop {
            match &self.slots[slot] {
                None => return None,
                Some((known, id)) if *known == short => return Some(*id),
                Some(_) => slot = (slot + 1) % SLOTS,
            }
        }
    }

    #[cold]
    fn find_long(&self, name: &[u8]) -> Option<Id> {
        let is_it = |(known, _): &&(Box<str>, Id)| known.as_bytes().eq_ignore_ascii_case(name);
        self.long.iter().find(is_it).map(|(_, id)| *id)
    }

    /// The command's own name, where clients may call it by another.
    #[inline]
    pub fn own_name(&self, id: Id) -> Option<&'static str> {
        let name = || id.entry().parent.unwrap_or(id).entry().command.name;
        self.any_renamed.then(name)
    }

    /// The table under the names that `rename-command` lines left it with.
    pub fn with_renames(renames: &[Rename]) -> Self {
        let any_renamed = renames.iter().any(|rename| rename.name.is_some());
        let mut names = Self { slots: vec![None; SLOTS], long: Vec::new(), any_renamed };
        for id in TABLE.top_level() {
            let command = id.entry().command.name;
            match renames.iter().find(|rename| rename.command == command) {
                None => names.insert(command, id),
                Some(Rename { name: Some(name), .. }) => {
                    names.insert(&String::from_utf8_lossy(name), id);
                }
                Some(Rename { name: None, .. }) => {}
            }
        }
        names
    }

    /// The commands that can be called, by id.
    pub fn known(&self) -> Vec<Id> {
        let short = self.slots.iter().flatten().map(|(_, id)| *id);
        let mut ids: Vec<Id> = short.chain(self.long.iter().map(|(_, id)| *id)).collect();
        ids.sort_unstable();
        ids
    }

    fn insert(&mut self, name: &str, id: Id) {
        let Some(short) = Short::of(name.as_bytes()) else {
            return self.long.push((name.into(), id));
        };
        let mut slot = short.hash() % SLOTS;
        while self.slots[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = Some((short, id));
    }
}

/// The subcommand of `container` called `name`.
pub fn subcommand(container: Id, name: &[u8]) -> Option<Id> {
    let found = |id: &&Id| id.entry().command.name.as_bytes().eq_ignore_ascii_case(name);
    container.entry().subcommands.iter().find(found).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        let names = Names::default();
        for id in TABLE.top_level() {
            let name = id.entry().command.name;
            assert_eq!(names.find(name.as_bytes()), Some(id));
            assert_eq!(names.find(name.to_ascii_uppercase().as_bytes()), Some(id));
        }
        assert_eq!(names.find(b""), None);
        assert_eq!(names.find(b"get\0"), None);
        assert_eq!(names.find(b"nosuchcommand"), None);
    }

    #[test]
    fn declarations_are_whole() {
        for id in TABLE.all() {
            let Entry { command, full_name, .. } = id.entry();
            assert_eq!(command.name, command.name.to_ascii_lowercase());
            assert!(!command.summary.is_empty(), "{full_name} has no summary");
            assert!(!command.since.is_empty(), "{full_name} has no version");
            assert!(
                command.handler.is_some() || !command.subcommands.is_empty(),
                "{full_name} does nothing"
            );
            let both = Flags::WRITE | Flags::READONLY;
            assert!(!command.flags.contains(both), "{full_name} is write and readonly");
            for spec in command.keys {
                assert!(spec.begin > 0, "{full_name}: a key cannot be the command's name");
            }
        }
    }

    #[test]
    fn a_renamed_command_answers_to_its_new_name_only() {
        let names = Names::with_renames(&[
            Rename { command: "echo", name: Some(b"Guarded".to_vec()) },
            Rename { command: "time", name: None },
        ]);
        assert!(names.find(b"echo").is_none());
        assert!(names.find(b"GUARDED").is_some());
        assert!(names.find(b"time").is_none());
        assert!(names.find(b"ping").is_some());
    }
}
