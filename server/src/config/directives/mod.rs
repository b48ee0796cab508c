//! Every configuration directive, declared once, by concern. Names and defaults are Valkey 9.1's;
//! the directives that only Redis 8 has are among them, marked.

mod cluster;
mod memory;
mod network;
mod observe;
mod persistence;
mod process;
mod replication;
mod tls;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::directive::Directive;

pub(super) use network::{PROTECTED_LOCAL, PROTECTED_YES};
pub(super) use observe::{
    FORMAT_JSON, FORMAT_LOGFMT, LEVEL_DEBUG, LEVEL_NOTHING, LEVEL_VERBOSE, LEVEL_WARNING,
    TIMESTAMP_ISO8601, TIMESTAMP_MILLISECONDS,
};
pub(super) use persistence::{FSYNC_ALWAYS, FSYNC_EVERYSEC, RDB_VERSION_RELAXED};
pub(super) use process::{
    OOM_SCORE_ABSOLUTE, OOM_SCORE_RELATIVE, SHUTDOWN_FORCE, SHUTDOWN_NOSAVE, SHUTDOWN_SAVE,
    SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART,
};
pub(super) use tls::{AUTH_NO, AUTH_OPTIONAL, AUTH_USER_CN, AUTH_USER_URI};

/// The whole table. A directive's place in it is its [`Id`].
static TABLE: LazyLock<Vec<Directive>> = LazyLock::new(|| {
    let concerns = [
        network::DIRECTIVES,
        process::DIRECTIVES,
        observe::DIRECTIVES,
        memory::DIRECTIVES,
        persistence::DIRECTIVES,
        replication::DIRECTIVES,
        cluster::DIRECTIVES,
        tls::DIRECTIVES,
    ];
    concerns.concat()
});

/// Names and aliases, lower case.
static NAMES: LazyLock<HashMap<&'static str, Id>> = LazyLock::new(|| {
    let names = |(id, directive): (usize, &Directive)| {
        [Some(directive.name), directive.alias]
            .into_iter()
            .flatten()
            .map(move |name| (name, Id(id)))
    };
    TABLE.iter().enumerate().flat_map(names).collect()
});

/// A directive, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(usize);

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0
    }

    pub(crate) fn directive(self) -> &'static Directive {
        &TABLE[self.0]
    }
}

pub(crate) fn all() -> impl Iterator<Item = Id> {
    (0..TABLE.len()).map(Id)
}

/// Finds a directive by either of its names, in any case; also gives the name as it is declared.
pub(crate) fn find(name: &[u8]) -> Option<(&'static str, Id)> {
    let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    NAMES.get_key_value(name.as_str()).map(|(name, id)| (*name, *id))
}

/// Directives of older versions that do nothing any more: accepted in a file, with one argument.
pub(super) const DEPRECATED: [&str; 5] = [
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
    "io-threads-do-reads",
    "events-per-io-thread",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::value::Value;

    #[test]
    fn no_name_is_declared_twice() {
        let mut seen = HashSet::new();
        for directive in TABLE.iter() {
            for name in [Some(directive.name), directive.alias].into_iter().flatten() {
                assert!(seen.insert(name), "{name} is declared twice");
                assert_eq!(name, name.to_ascii_lowercase());
            }
        }
        for name in DEPRECATED {
            assert!(!seen.contains(name), "{name} is both declared and deprecated");
        }
    }

    #[test]
    fn every_default_is_a_value_its_own_directive_accepts() {
        for directive in TABLE.iter() {
            let default = Value::default_of(directive);
            let shown = default.show(directive);
            let args: Vec<&[u8]> = if directive.multi_arg {
                shown.split(|byte| *byte == b' ').collect()
            } else {
                vec![&shown]
            };
            let parsed = Value::parse(directive, &args, &default);
            if parsed.is_err() && shown.is_empty() {
                continue; // `replicaof` and `dir` have no spelling for "none".
            }
            assert_eq!(parsed, Ok(default), "{}", directive.name);
        }
    }
}
