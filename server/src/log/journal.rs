//! The journal of a host's systemd: one entry for a line, with its level as `PRIORITY`, where standard
//! output is a stream into the journal and would lose it.

use std::io;
use std::sync::OnceLock;

use rustix::fs::fstat;

use super::{Level, ROLE};

/// Sends one entry. False when standard output does not end in the journal, or when it took nothing.
pub(super) fn take(level: Level, text: &str) -> bool {
    static CONNECTED: OnceLock<bool> = OnceLock::new();
    *CONNECTED.get_or_init(is_connected) && send(level, text)
}

fn send(level: Level, text: &str) -> bool {
    let fields = [
        format!("PRIORITY={}", level.severity()),
        format!("MESSAGE={text}"),
        "SYSLOG_IDENTIFIER=holdfast-server".to_owned(),
        format!("HOLDFAST_ROLE={ROLE}"),
        format!("HOLDFAST_VERSION={}", env!("CARGO_PKG_VERSION")),
    ];
    systemd::journal::send(&fields.each_ref().map(String::as_str)).is_ok()
}

/// Whether standard output is the stream that systemd made: `JOURNAL_STREAM` names its device and
/// inode, because the variable is inherited even where the descriptor was replaced (systemd.exec(5)).
fn is_connected() -> bool {
    let Ok(stat) = fstat(io::stdout()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|it| it == format!("{}:{}", stat.st_dev, stat.st_ino))
}
