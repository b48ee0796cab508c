//! What a command is: one plain value, declared next to its handler. Arity, ACL categories, COMMAND's
//! replies and error texts are functions of it.

use std::ops::Range;

use bitflags::bitflags;

use crate::engine::Call;
use crate::error::Result;
use crate::resp::Argv;

pub type Handler = fn(&mut Call<'_>) -> Result;

/// Whether one of the arguments is a secret.
pub(super) type Secret = fn(Argv<'_>, usize) -> bool;

/// Where the keys of a command line are.
pub(super) type FindKeys = fn(&[&[u8]]) -> Range<usize>;

/// A command, or a subcommand of a container.
#[derive(Debug)]
pub struct Command {
    /// Lower case; for a subcommand only its own word.
    pub name: &'static str,
    /// The arguments behind the name, in the notation of the Redis documentation:
    /// `key value [NX | XX] [EX seconds]`, `key [key ...]`. Arity follows from it. Types follow from
    /// names, except where it says `name:integer`.
    pub syntax: &'static str,
    pub summary: &'static str,
    pub complexity: &'static str,
    /// First Redis or Valkey version that had it.
    pub since: &'static str,
    pub group: Group,
    pub flags: Flags,
    pub keys: &'static [KeySpec],
    /// Finds the keys, where the specifications do not say all about it.
    pub find_keys: Option<FindKeys>,
    /// `None` for a container that does nothing without a subcommand.
    pub handler: Option<Handler>,
    /// The arguments that neither MONITOR nor a log shows; `None` for a command without secrets.
    pub secret: Option<Secret>,
    pub subcommands: &'static [Command],
    /// `(version, what changed)`, as COMMAND DOCS shows it.
    pub history: &'static [(&'static str, &'static str)],
    /// Hints for clients of clusters, as COMMAND INFO shows them.
    pub tips: &'static [&'static str],
}

impl Command {
    /// What most commands share; used with `..Command::BASE`.
    pub const BASE: Command = Command {
        name: "",
        syntax: "",
        summary: "",
        complexity: "O(1)",
        since: "1.0.0",
        group: Group::Generic,
        flags: Flags::empty(),
        keys: &[],
        find_keys: None,
        handler: None,
        secret: None,
        subcommands: &[],
        history: &[],
        tips: &[],
    };

    /// Where the keys of a command line are, each with what is known about it; `None` when the
    /// arguments are wrong.
    pub fn keys_of(&self, line: &[&[u8]]) -> Option<Vec<(usize, &KeySpec)>> {
        if let (Some(find), Some(spec)) = (self.find_keys, self.keys.first()) {
            let keys = find(line);
            return (!keys.is_empty()).then(|| keys.map(|at| (at, spec)).collect());
        }
        let mut found = Vec::new();
        for spec in self.keys.iter().filter(|spec| spec.access != Access::NotKey) {
            let positions = spec.positions(line.len(), |at| line.get(at).copied())?;
            let spec = spec.varies.map_or(spec, |varies| varies(line));
            found.extend(positions.into_iter().map(|at| (at, spec)));
        }
        Some(found)
    }

    /// Whether argument `at` is a secret.
    pub fn hides(&self, argv: Argv<'_>, at: usize) -> bool {
        self.secret.is_some_and(|is_secret| is_secret(argv, at))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    PubSub,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
}

impl Group {
    /// The types, in the order of their ACL categories.
    const WITH_OWN_DATA: [Self; 9] = [
        Self::Set,
        Self::SortedSet,
        Self::List,
        Self::Hash,
        Self::String,
        Self::Bitmap,
        Self::HyperLogLog,
        Self::Geo,
        Self::Stream,
    ];

    /// Whether SORT takes it.
    fn is_sorted(self) -> bool {
        matches!(self, Self::Set | Self::SortedSet | Self::List)
    }

    /// The word of COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }

    /// The ACL category that all commands of the group are in, if there is one.
    fn category(self) -> Option<&'static str> {
        match self {
            Group::Bitmap => Some("@bitmap"),
            Group::Connection => Some("@connection"),
            Group::Generic => Some("@keyspace"),
            Group::Geo => Some("@geo"),
            Group::Hash => Some("@hash"),
            Group::HyperLogLog => Some("@hyperloglog"),
            Group::List => Some("@list"),
            Group::PubSub => Some("@pubsub"),
            Group::Cluster | Group::Server => None,
            Group::Set => Some("@set"),
            Group::SortedSet => Some("@sortedset"),
            Group::Stream => Some("@stream"),
            Group::String => Some("@string"),
            Group::Transactions => Some("@transaction"),
        }
    }
}

bitflags! {
    /// Command flags, in the order in which COMMAND INFO lists them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        const WRITE = 1 << 0;
        const READONLY = 1 << 1;
        const DENYOOM = 1 << 2;
        const ADMIN = 1 << 3;
        const PUBSUB = 1 << 4;
        const NOSCRIPT = 1 << 5;
        const BLOCKING = 1 << 6;
        const LOADING = 1 << 7;
        const STALE = 1 << 8;
        const SKIP_MONITOR = 1 << 9;
        const SKIP_SLOWLOG = 1 << 10;
        const FAST = 1 << 12;
        const NO_AUTH = 1 << 13;
        const NO_ASYNC_LOADING = 1 << 14;
        const NO_MULTI = 1 << 15;
        const ALLOW_BUSY = 1 << 16;
        const TOUCHES_ARBITRARY_KEYS = 1 << 17;
        /// Not shown: in `@dangerous` beyond what the other flags say.
        const DANGEROUS = 1 << 24;
        /// Not shown: in `@admin` and `@dangerous` although it asks for no more rights.
        const ADMINISTRATIVE = 1 << 30;
        /// Not shown: in `@keyspace` although its group is another.
        const KEYSPACE = 1 << 25;
        /// Not shown: in `@connection` although its group is another.
        const CONNECTION = 1 << 27;
        /// Not shown: changes nothing that is seen, but may make a log or a replica go on.
        const MAY_REPLICATE = 1 << 18;
        /// Not shown: in the categories of lists, sets and sorted sets, not in `@keyspace`.
        const SORTS = 1 << 29;
        /// Not shown: only where `enable-debug-command` permits it.
        const PROTECTED = 1 << 28;
        /// Not shown: executed at once inside MULTI instead of being queued.
        const IN_MULTI = 1 << 26;
        /// Not shown: refused inside MULTI, unlike in Valkey.
        const NEVER_QUEUED = 1 << 31;
    }
}

impl Flags {
    const SHOWN: [(Flags, &'static str); 16] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::SHOWN.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}

/// Where a command's keys are and what it does with them.
#[derive(Debug)]
pub struct KeySpec {
    /// Index of the argument where the search begins (the command's name is 0); with `keyword`,
    /// where the search for that begins.
    pub begin: usize,
    /// The keys follow this word; there are none without it.
    pub keyword: Option<&'static str>,
    /// `begin` counts from the end, and the search goes backwards.
    pub backwards: bool,
    /// Which of several such words counts; the first, if it does not say.
    pub last_of: Option<&'static LastOf>,
    pub find: Find,
    pub access: Access,
    /// `access update insert delete` and the like, as COMMAND INFO shows them.
    pub effects: &'static [&'static str],
    /// Why the access is what it is, where that is not plain; else empty.
    pub notes: &'static str,
    /// For `variable_flags`: access and effects that a given command line has.
    pub varies: Option<Varies>,
}

/// Of several words that may come more than once the last one counts: SORT's STORE.
#[derive(Debug)]
pub struct LastOf {
    pub words: &'static [&'static str],
    /// Other words, and how many arguments they have, in which the words may appear.
    pub skipping: &'static [(&'static str, usize)],
}

impl LastOf {
    fn find<'a>(
        &self,
        mut places: Range<usize>,
        arg: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Option<(usize, &'static str)> {
        let is = |at: usize, word: &str| {
            arg(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        let mut found = None;
        while let Some(at) = places.next() {
            if let Some(word) = self.words.iter().find(|word| is(at, word)) {
                found = Some((at, *word)).filter(|_| places.next().is_some()).or(found);
            } else if let Some((_, count)) = self.skipping.iter().find(|(word, _)| is(at, word)) {
                places.start += count;
            }
        }
        found
    }
}

/// From a command line to a specification that says how it uses its keys.
pub(super) type Varies = fn(&[&[u8]]) -> &'static KeySpec;

#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// Keys from `begin` to `begin + last` (negative counts from the end), every `step`-th argument.
    Range { last: i32, step: usize },
    /// The first half of all arguments from `begin` on: XREAD's keys, before their ids.
    FirstHalf,
    /// A count at `begin`, keys behind it, every `step`-th argument.
    Count { step: usize },
    /// Beyond what clients are told: keys named after elements, which nobody knows, and SORT's
    /// destination, which is behind the specification's keyword.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    Overwrite,
    Remove,
    /// Treated like a key by clusters, but none: a shard channel.
    NotKey,
}

impl Access {
    pub fn name(self) -> &'static str {
        match self {
            Access::ReadOnly => "RO",
            Access::ReadWrite => "RW",
            Access::Overwrite => "OW",
            Access::Remove => "RM",
            Access::NotKey => "not_key",
        }
    }
}

impl KeySpec {
    /// One key at `begin`.
    pub const fn one(begin: usize, access: Access, effects: &'static [&'static str]) -> Self {
        Self {
            begin,
            keyword: None,
            backwards: false,
            last_of: None,
            find: Find::Range { last: 0, step: 1 },
            access,
            effects,
            notes: "",
            varies: None,
        }
    }

    /// The same keys, found in another way.
    pub const fn found(self, find: Find) -> Self {
        Self { find, ..self }
    }

    /// The same keys, behind `word`, which is looked for from `begin` on.
    pub const fn behind(self, word: &'static str) -> Self {
        Self { keyword: Some(word), ..self }
    }

    /// The same, looked for from the `begin`-th argument from the end, backwards.
    pub const fn behind_from_end(self, word: &'static str) -> Self {
        Self { backwards: true, ..self.behind(word) }
    }

    /// The same keys, behind the last of several words.
    pub const fn behind_last(self, word: &'static str, last_of: &'static LastOf) -> Self {
        Self { last_of: Some(last_of), ..self.behind(word) }
    }

    pub const fn noted(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }

    pub const fn varying(self, varies: Varies) -> Self {
        Self { varies: Some(varies), ..self }
    }

    /// Every argument from `begin` to the end.
    pub const fn rest(begin: usize, access: Access, effects: &'static [&'static str]) -> Self {
        Self::one(begin, access, effects).found(Find::Range { last: -1, step: 1 })
    }

    /// Indices of the keys in a command of `argc` arguments; `None` when the arguments are wrong.
    pub fn positions<'a>(
        &self,
        argc: usize,
        arg: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Option<Vec<usize>> {
        let Some(begin) = self.begin_in(argc, &arg) else { return Some(Vec::new()) };
        let (first, count, step) = match self.find {
            Find::Range { last, step } => {
                let end = match usize::try_from(last) {
                    Ok(offset) => begin + offset,
                    Err(_) => argc.checked_sub(last.unsigned_abs() as usize)?,
                };
                if end >= argc || end < begin {
                    return None;
                }
                (begin, (end - begin) / step + 1, step)
            }
            Find::FirstHalf => (begin, argc.checked_sub(begin)? / 2, 1),
            Find::Count { step } => {
                let count = crate::number::parse_int(arg(begin)?)?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0)?;
                let behind = argc.checked_sub(begin + 1)?;
                if count.checked_mul(step)? > behind + (step - 1) {
                    return None;
                }
                (begin + 1, count, step)
            }
            Find::Unknown => (begin, usize::from(self.keyword.is_some()), 1),
        };
        Some((0..count).map(|nth| first + nth * step).filter(|&at| at < argc).collect())
    }
}

impl KeySpec {
    /// Where the keys begin in a command; `None` without the keyword that they follow.
    fn begin_in<'a>(&self, argc: usize, arg: impl Fn(usize) -> Option<&'a [u8]>) -> Option<usize> {
        let Some(word) = self.keyword else { return Some(self.begin) };
        if let Some(last_of) = self.last_of {
            let last = last_of.find(self.begin..argc, arg);
            return last.filter(|(_, found)| *found == word).map(|(at, _)| at + 1);
        }
        let is_word =
            |at: &usize| arg(*at).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()));
        if self.backwards {
            return (1..=argc.checked_sub(self.begin)?).rev().find(is_word).map(|at| at + 1);
        }
        (self.begin..argc).find(is_word).map(|at| at + 1)
    }
}

/// How many arguments a command takes, its name included: `n` exactly, `-n` at least.
///
/// Read off the syntax line: words outside brackets must be there, and of `<alternatives>` the
/// shortest; `[brackets]` and `...` allow more. `name_words` is 1, or 2 for a subcommand.
pub(super) fn arity(syntax: &str, name_words: i32) -> i32 {
    let spaced = ['[', ']', '<', '>', '|']
        .iter()
        .fold(syntax.to_owned(), |text, mark| text.replace(*mark, &format!(" {mark} ")));
    let mut words = spaced.split_whitespace();
    let mut required = name_words;
    let mut alternative = false;
    while let Some(word) = words.next() {
        required += match word {
            "[" => {
                least(&mut words);
                0
            }
            "<" => least(&mut words),
            "|" | "..." => 0,
            // `A | B` outside brackets is one argument.
            _ => i32::from(!alternative),
        };
        alternative = word == "|";
    }
    let open = syntax.contains(['[']) || syntax.contains("...");
    if open { -required } else { required }
}

/// The words of the shortest alternative, up to the bracket that closes.
fn least<'a>(words: &mut impl Iterator<Item = &'a str>) -> i32 {
    let (mut shortest, mut count) = (i32::MAX, 0);
    while let Some(word) = words.next() {
        match word {
            "]" | ">" => break,
            "|" => (shortest, count) = (shortest.min(count), 0),
            "[" => _ = least(words),
            "<" => count += least(words),
            "..." => {}
            _ => count += 1,
        }
    }
    shortest.min(count)
}

/// The ACL categories of a command, in the order in which Redis lists them.
pub fn categories(command: &Command) -> Vec<&'static str> {
    let flags = command.flags;
    let mut list = Vec::new();
    let mut push = |condition: bool, name: &'static str| {
        if condition && !list.contains(&name) {
            list.push(name);
        }
    };
    push(
        flags.contains(Flags::KEYSPACE)
            || (command.group == Group::Generic
                && command.handler.is_some()
                && !flags.contains(Flags::SORTS)),
        "@keyspace",
    );
    push(flags.contains(Flags::READONLY), "@read");
    push(flags.contains(Flags::WRITE), "@write");
    for group in Group::WITH_OWN_DATA {
        let is_its = command.group == group && command.handler.is_some();
        let is_sorted = group.is_sorted() && flags.contains(Flags::SORTS);
        push(is_its || is_sorted, group.category().unwrap_or_default());
    }
    push(flags.contains(Flags::PUBSUB), "@pubsub");
    push(flags.intersects(Flags::ADMIN | Flags::ADMINISTRATIVE), "@admin");
    push(flags.contains(Flags::FAST), "@fast");
    push(!flags.contains(Flags::FAST), "@slow");
    push(flags.contains(Flags::BLOCKING), "@blocking");
    let is_dangerous = Flags::ADMIN | Flags::ADMINISTRATIVE | Flags::DANGEROUS;
    push(flags.intersects(is_dangerous), "@dangerous");
    push(flags.contains(Flags::CONNECTION), "@connection");
    // A bare container is in no group's category.
    if let Some(category) = command.group.category().filter(|_| command.handler.is_some()) {
        push(command.group != Group::Generic, category);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arity_follows_from_the_syntax_line() {
        for (syntax, words, expected) in [
            ("", 1, 1),
            ("key", 1, 2),
            ("[message]", 1, -1),
            ("key value [NX | XX] [GET] [EX seconds | PX milliseconds]", 1, -3),
            ("key [key ...]", 1, -2),
            ("key value [key value ...]", 1, -3),
            ("numkeys key value [key value ...] [NX | XX]", 1, -4),
            ("key milliseconds value", 1, 4),
            ("ON | OFF | SKIP", 2, 3),
            ("<SAVE | NOSAVE> key", 1, 3),
            ("key <BYRADIUS radius <M | KM> | BYBOX width height <M | KM>> [ASC | DESC]", 1, -5),
            ("", 2, 2),
        ] {
            assert_eq!(arity(syntax, words), expected, "{syntax}");
        }
    }

    #[test]
    fn key_positions_follow_the_shape() {
        let args: Vec<&[u8]> = vec![b"MSETEX", b"2", b"a", b"1", b"b", b"2", b"NX"];
        let arg = |index: usize| args.get(index).copied();
        let counted = KeySpec::one(1, Access::Overwrite, &[]).found(Find::Count { step: 2 });
        assert_eq!(counted.positions(args.len(), arg), Some(vec![2, 4]));
        let pairs =
            KeySpec::one(1, Access::Overwrite, &[]).found(Find::Range { last: -1, step: 2 });
        assert_eq!(pairs.positions(5, arg), Some(vec![1, 3]));
        assert_eq!(KeySpec::rest(1, Access::Remove, &[]).positions(1, arg), None);
        let args: Vec<&[u8]> = vec![b"XREAD", b"COUNT", b"1", b"streams", b"a", b"b", b"0", b"0"];
        let arg = |index: usize| args.get(index).copied();
        let streams =
            KeySpec::one(1, Access::ReadOnly, &[]).behind("STREAMS").found(Find::FirstHalf);
        assert_eq!(streams.positions(args.len(), arg), Some(vec![4, 5]));
        assert_eq!(streams.positions(3, arg), Some(vec![]));
    }

    #[test]
    fn the_last_of_several_destinations_counts() {
        const LAST: LastOf =
            LastOf { words: &["STORE", "STOREDIST"], skipping: &[("get", 1), ("limit", 2)] };
        let specs = LAST
            .words
            .iter()
            .map(|word| KeySpec::one(2, Access::Overwrite, &[]).behind_last(word, &LAST));
        let specs: Vec<KeySpec> = specs.collect();
        for (line, expected) in [
            ("SORT k", None),
            ("SORT k STORE a", Some(3)),
            ("SORT k store a STORE b", Some(5)),
            ("SORT k STORE a STOREDIST b", Some(5)),
            ("SORT k STORE a GET store", Some(3)),
            ("SORT k LIMIT store x STORE y", Some(6)),
            ("SORT k STORE", None),
            ("SORT k STORE a STORE", Some(3)),
        ] {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let arg = |index: usize| args.get(index).copied();
            let found = specs.iter().filter_map(|spec| spec.positions(args.len(), arg));
            assert_eq!(found.flatten().collect::<Vec<_>>(), Vec::from_iter(expected), "{line}");
        }
    }
}
