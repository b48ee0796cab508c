//! The work that touches keys and disks, for a thread of its own: everything it needs is in it.

use super::authority::{self, Present};
use super::bundle::Bundle;
use super::constraints::Constraints;
use super::files::Prints;
use super::issue::{self, Pair};
use super::names::Name;
use super::pem::Source;
use super::schedule::{Anchor, Now, Unix, anchor};
use super::set::{self, Set};
use super::store::Store;
use crate::config::tls::Files;
use crate::utc::Utc;

#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// Of the device's own authority, which is made when there is none, or `anew`.
    Make { host: String, names: Vec<Name>, life_s: i64, anew: bool, now: Now },
    /// Take over the operator's files if they are good.
    Adopt { files: Files, prints: Prints, names: Vec<Name>, now: i64, in_use: Option<Box<Set>> },
    /// The time, for the next start.
    Remember { seen: Unix },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Installed,
    /// The files are what the server has already.
    Unchanged,
}

impl Job {
    pub(crate) fn run(&self, store: &Store) -> Result<Done, String> {
        match self {
            Self::Make { host, names, life_s, anew, now } => {
                let (authority, constraints) = authority(store, host, names, *life_s, *anew, *now)?;
                make(store, authority, &constraints.split(names).0, *life_s, *now)
            }
            Self::Adopt { files, prints, names, now, in_use } => {
                let set = adopt(files, *prints, names, *now)?;
                if in_use.as_ref().is_some_and(|in_use| set.is_same_as(in_use)) {
                    return Ok(Done::Unchanged);
                }
                set.install(store).map(|()| Done::Installed)
            }
            Self::Remember { seen } => {
                // Best effort: without it only the release is the floor.
                let _ = store.save_seen(*seen);
                Ok(Done::Unchanged)
            }
        }
    }
}

fn make(
    store: &Store,
    authority: Pair,
    names: &[Name],
    life_s: i64,
    now: Now,
) -> Result<Done, String> {
    let failed = |error: rcgen::Error| format!("no certificate: {error}");
    let signer = issue::signer(&authority).map_err(failed)?;
    let server = issue::server(&signer, names, now.wall, life_s).map_err(failed)?;
    let client = issue::client(&signer, now.wall, life_s).map_err(failed)?;
    let set = Set {
        bundle: Bundle {
            certificate: source(set::CERTIFICATE, server.certificate),
            key: source(set::KEY, server.key),
            authority: Some(source(set::AUTHORITY, authority.certificate)),
        },
        client: Some((client.certificate.into_bytes(), client.key.into_bytes())),
    };
    // What we would refuse from others is not served when it is our own.
    set.bundle.check(names, Some(now.wall)).map_err(|faults| set::sentence(&faults))?;
    set.install(store).map(|()| Done::Installed)
}

fn authority(
    store: &Store,
    host: &str,
    names: &[Name],
    life_s: i64,
    anew: bool,
    now: Now,
) -> Result<(Pair, Constraints), String> {
    let present = authority::read(store).map_err(|error| error.to_string())?;
    let (present, known) = match present {
        Present::Good(pair, known, constraints) => (Some((pair, constraints)), Some(known)),
        Present::Lost => (None, None),
    };
    match (anchor(known, now.wall.saturating_add(life_s), anew, now), present) {
        (Anchor::Use, Some(present)) => Ok(present),
        (Anchor::Hold, _) => Err(format!(
            "a new authority is not made by a clock that shows {} and may be wrong",
            Utc(now.wall)
        )),
        _ => authority::create(store, host, names, now.wall),
    }
}

fn adopt(files: &Files, prints: Prints, names: &[Name], now: i64) -> Result<Set, String> {
    let read = set::read(&files.certificate, &files.key, files.authority.as_deref());
    let bundle = read.map_err(|faults| set::sentence(&faults))?;
    if Prints::of(files) != prints {
        return Err("the files changed while they were read".to_owned());
    }
    bundle.check(names, Some(now)).map_err(|faults| set::sentence(&faults))?;
    Ok(Set { bundle, client: None })
}

fn source(name: &str, text: String) -> Source {
    Source { name: name.to_owned(), bytes: text.into_bytes() }
}
