//! The server's own word for what it has loaded.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::backup::rdb::Contents;
use crate::dialogue::{Dialogue, Info};

const POLL: Duration = Duration::from_millis(100);

/// Says how many keys the server holds; fails when they are not the file's.
pub(super) async fn prove(pid: Option<u32>, contents: &Contents) -> Result<String, String> {
    let told = |error: std::io::Error| format!("the server cannot be asked: {error}");
    let mut server = Dialogue::open(pid).await.map_err(told)?;
    let persistence = loop {
        let info = server.info("persistence").await.map_err(told)?;
        if info.field("loading") != Some("1") {
            break info;
        }
        tokio::time::sleep(POLL).await;
    };
    let keyspace = server.info("keyspace").await.map_err(told)?;
    judge(contents, loaded(&persistence), held(&keyspace))
}

/// Clients may write as soon as the server is up: what it loaded counts first, and what it holds
/// only where it loaded something else, such as a log.
fn judge(contents: &Contents, loaded: Option<u64>, held: u64) -> Result<String, String> {
    let range: RangeInclusive<u64> = contents.lasting..=contents.keys;
    if loaded == Some(contents.keys) || (loaded.is_none() && range.contains(&held)) {
        return Ok(format!("restored {} keys; the server holds {held} now", contents.keys));
    }
    let loaded = loaded.map_or_else(|| "an unknown number".to_owned(), |keys| keys.to_string());
    Err(format!(
        "the file holds {} keys, but the server has loaded {loaded} and holds {held}",
        contents.keys
    ))
}

/// Keys that were due already are counted by the file, and by the server apart.
fn loaded(persistence: &Info) -> Option<u64> {
    let keys = persistence.number("rdb_last_load_keys_loaded")?;
    keys.checked_add(persistence.number("rdb_last_load_keys_expired")?)
}

/// DBSIZE of every database: `db0:keys=7,expires=0,…`.
fn held(keyspace: &Info) -> u64 {
    let keys = |line: &str| {
        line.strip_prefix("db")?.split_once(":keys=")?.1.split(',').next()?.parse::<u64>().ok()
    };
    keyspace.lines().filter_map(keys).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(keys: u64, lasting: u64) -> Contents {
        Contents { bytes: 1, keys, expired: 0, lasting, sha256: String::new(), checksummed: true }
    }

    #[test]
    fn what_was_loaded_decides_not_what_clients_did_since() {
        assert!(judge(&contents(7, 7), Some(7), 900).is_ok());
        assert!(judge(&contents(7, 7), Some(6), 7).is_err());
        assert!(judge(&contents(0, 0), Some(0), 0).is_ok());
    }

    #[test]
    fn without_that_what_is_held_must_be_possible() {
        assert!(judge(&contents(7, 5), None, 5).is_ok());
        assert!(judge(&contents(7, 5), None, 4).is_err());
        assert!(judge(&contents(7, 5), None, 8).is_err());
    }

    #[test]
    fn databases_are_summed() {
        let text = "# Keyspace\r\ndb0:keys=7,expires=1,avg_ttl=0\r\ndb12:keys=5,expires=0\r\n";
        assert_eq!(held(&Info::of(text)), 12);
        assert_eq!(held(&Info::default()), 0);
    }
}
