//! What the server says of its persistence and its memory.

use super::Finding;
use crate::dialogue::{Dialogue, Info};
use crate::discover;

pub(crate) fn findings() -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.and_then(|runtime| runtime.block_on(ask()));
    match asked {
        Ok(facts) => vec![persistence(&facts), memory(&facts)],
        Err(error) => {
            let seen = format!("it cannot be asked: {error}");
            vec![Finding::warn("persistence", seen, "as root, on the machine itself, it can")]
        }
    }
}

struct Facts {
    persistence: Info,
    memory: Info,
    appends: bool,
    saves: bool,
}

async fn ask() -> std::io::Result<Facts> {
    let mut server = Dialogue::open(discover::server_pid()).await?;
    Ok(Facts {
        persistence: server.info("persistence").await?,
        memory: server.info("memory").await?,
        appends: server.config("appendonly").await?.as_deref() == Some("yes"),
        saves: server.config("save").await?.is_some_and(|points| !points.is_empty()),
    })
}

fn persistence(facts: &Facts) -> Finding {
    let is_bad = |name: &str| facts.persistence.field(name).is_some_and(|status| status != "ok");
    let failing = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
    let unsaved = facts.persistence.number("rdb_changes_since_last_save").unwrap_or(0);
    if let Some(what) = failing.into_iter().find(|name| is_bad(name)) {
        let advice = "see the server's log, and the free space of its disk";
        return Finding::fail("persistence", format!("{what} is not ok"), advice);
    }
    match (facts.appends, facts.saves) {
        (true, _) => Finding::ok("persistence", "every change is logged (appendonly)"),
        (false, true) => {
            Finding::ok("persistence", format!("by snapshots; {unsaved} changes since the last"))
        }
        (false, false) => Finding::warn(
            "persistence",
            format!("off; {unsaved} changes would be lost now"),
            "set `appendonly yes` or `save`, unless this is a cache",
        ),
    }
}

fn memory(facts: &Facts) -> Finding {
    let number = |name: &str| facts.memory.number(name).unwrap_or(0);
    let (used, max) = (number("used_memory"), number("maxmemory"));
    let used_text = crate::backup::store::Size(used);
    match max {
        0 => Finding::warn(
            "data memory",
            format!("{used_text} used, without a maxmemory"),
            "set maxmemory below the memory limit, or growth ends in an out-of-memory kill",
        ),
        _ if used / 9 >= max / 10 => Finding::warn(
            "data memory",
            format!("{used_text} used: over 90 % of maxmemory"),
            "raise maxmemory, or see what grows (`redis-cli --bigkeys`)",
        ),
        _ => Finding::ok(
            "data memory",
            format!("{used_text} used of {}", crate::backup::store::Size(max)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts(persistence: &str, memory: &str, appends: bool, saves: bool) -> Facts {
        Facts { persistence: Info::of(persistence), memory: Info::of(memory), appends, saves }
    }

    #[test]
    fn persistence_that_fails_or_is_off_is_told() {
        let good = "rdb_last_bgsave_status:ok\r\naof_last_write_status:ok\r\n";
        let bad = "rdb_last_bgsave_status:err\r\n";
        assert_eq!(persistence(&facts(good, "", true, false)).level, Level::Ok);
        assert_eq!(persistence(&facts(good, "", false, true)).level, Level::Ok);
        assert_eq!(persistence(&facts(good, "", false, false)).level, Level::Warn);
        assert_eq!(persistence(&facts(bad, "", true, true)).level, Level::Fail);
    }

    #[test]
    fn memory_near_its_bound_is_told() {
        let level = |text: &str| memory(&facts("", text, true, true)).level;
        assert_eq!(level("used_memory:5\r\nmaxmemory:0\r\n"), Level::Warn);
        assert_eq!(level("used_memory:899\r\nmaxmemory:1000\r\n"), Level::Ok);
        assert_eq!(level("used_memory:901\r\nmaxmemory:1000\r\n"), Level::Warn);
    }
}
