//! The log: lines as Redis writes them, `pid:role date level text`, to standard output, a file or
//! syslog; with the feature `systemd`, standard output may be the journal. Secrets never come here:
//! whoever logs a directive masks it first.
//!
//! One logger per process, so that any task can tell what happened to it.

#[cfg(feature = "systemd")]
mod journal;
mod sys;
mod syslog;

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer lines are cut; a client's argument may be in them.
const MAX_LINE: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Verbose,
    Notice,
    Warning,
    /// As a threshold only: lets nothing through.
    Nothing,
}

impl Level {
    /// As syslog and the journal count (RFC 5424, section 6.2.1).
    fn severity(self) -> u8 {
        match self {
            Self::Debug => 7,
            Self::Verbose => 6,
            Self::Notice => 5,
            Self::Warning | Self::Nothing => 4,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `4711:M 22 Nov 2026 01:02:03.004 * text`
    Legacy,
    /// `pid=4711 role=primary timestamp="…" level=notice message="…"`
    Logfmt,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    Legacy,
    Iso8601,
    /// Since 1970.
    Milliseconds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub level: Level,
    /// Standard output without one. Opened for each line, so that it may be rotated away.
    pub file: Option<PathBuf>,
    pub format: Format,
    pub timestamp: Timestamp,
    /// Besides the file.
    pub syslog: Option<Syslog>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    pub ident: String,
    /// A code of RFC 5424, section 6.2.1.
    pub facility: u8,
}

const DEFAULT: Settings = Settings {
    level: Level::Notice,
    file: None,
    format: Format::Legacy,
    timestamp: Timestamp::Legacy,
    syslog: None,
};

/// Beside the settings, so that a line that is not wanted costs one load.
static THRESHOLD: AtomicU8 = AtomicU8::new(Level::Notice as u8);
static SETTINGS: Mutex<Settings> = Mutex::new(DEFAULT);

/// Puts new settings into force.
pub fn configure(settings: &Settings) {
    THRESHOLD.store(settings.level as u8, Ordering::Relaxed);
    *SETTINGS.lock().unwrap_or_else(PoisonError::into_inner) = settings.clone();
}

/// True when lines of this level are written.
pub fn enabled(level: Level) -> bool {
    level as u8 >= THRESHOLD.load(Ordering::Relaxed)
}

/// Writes one line. Use the macros of this module.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let mut text = text.to_string();
    text.truncate(text.floor_char_boundary(MAX_LINE));
    let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nowhere to report to when the log itself cannot be written.
    let _ = put(&settings, now, level, &text);
    if let Some(syslog) = &settings.syslog {
        let _ = syslog::send(syslog, now, level, &text);
    }
}

fn put(settings: &Settings, now: Duration, level: Level, text: &str) -> io::Result<()> {
    #[cfg(feature = "systemd")]
    if settings.file.is_none() && journal::take(level, text) {
        return Ok(());
    }
    let line = format_line(settings, std::process::id(), now, level, text) + "\n";
    match &settings.file {
        None => io::stdout().lock().write_all(line.as_bytes()),
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
    }
}

#[allow(unused_macros, reason = "a level may have no line yet")]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($text)*)) };
}
#[allow(unused_macros, reason = "a level may have no line yet")]
macro_rules! verbose {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Verbose, format_args!($($text)*)) };
}
#[allow(unused_macros, reason = "a level may have no line yet")]
macro_rules! notice {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Notice, format_args!($($text)*)) };
}
#[allow(unused_macros, reason = "a level may have no line yet")]
macro_rules! warning {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($text)*)) };
}
#[allow(unused_imports, reason = "a level may have no line yet")]
pub(crate) use {debug, notice, verbose, warning};

/// Holdfast is a primary as long as there is no replication.
const ROLE: &str = "primary";
const ROLE_LETTER: char = 'M';

fn format_line(settings: &Settings, pid: u32, now: Duration, level: Level, text: &str) -> String {
    let time = format_time(settings.timestamp, now);
    let (letter, name) = match level {
        Level::Debug => ('.', "debug"),
        Level::Verbose => ('-', "info"),
        Level::Notice => ('*', "notice"),
        Level::Warning | Level::Nothing => ('#', "warning"),
    };
    match settings.format {
        Format::Legacy => format!("{pid}:{ROLE_LETTER} {time} {letter} {}", on_one_line(text)),
        Format::Logfmt => {
            let text = on_one_line(text).replace('"', "'");
            format!("pid={pid} role={ROLE} timestamp=\"{time}\" level={name} message=\"{text}\"")
        }
        Format::Json => {
            let text = json_string(text);
            format!(
                "{{\"pid\":{pid},\"role\":\"{ROLE}\",\"timestamp\":\"{time}\",\
                 \"level\":\"{name}\",\"message\":{text}}}"
            )
        }
    }
}

/// What clients send may be in it, and must not look like lines of ours.
fn on_one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn format_time(format: Timestamp, now: Duration) -> String {
    let ms = now.subsec_millis();
    let t = sys::local_time(now.as_secs());
    match format {
        Timestamp::Legacy => format!(
            "{:02} {} {} {:02}:{:02}:{:02}.{ms:03}",
            t.day, MONTHS[t.month0], t.year, t.hour, t.minute, t.second
        ),
        Timestamp::Iso8601 => {
            let sign = if t.utc_offset_s < 0 { '-' } else { '+' };
            let offset_min = t.utc_offset_s.unsigned_abs() / 60;
            format!(
                "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{ms:03}{sign}{:02}:{:02}",
                t.year,
                t.month0 + 1,
                t.day,
                t.hour,
                t.minute,
                t.second,
                offset_min / 60,
                offset_min % 60
            )
        }
        Timestamp::Milliseconds => now.as_millis().to_string(),
    }
}

fn json_string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T12:34:56.007Z; the tests do not set a time zone, so only parts of it are sure.
    const NOW: Duration = Duration::from_millis(1_709_210_096_007);

    fn line(format: Format, level: Level, text: &str) -> String {
        let settings = Settings { format, timestamp: Timestamp::Milliseconds, ..DEFAULT };
        format_line(&settings, 7, NOW, level, text)
    }

    #[test]
    fn lines_have_valkeys_formats() {
        assert_eq!(line(Format::Legacy, Level::Notice, "hi"), "7:M 1709210096007 * hi");
        assert_eq!(line(Format::Legacy, Level::Warning, "hi"), "7:M 1709210096007 # hi");
        assert_eq!(line(Format::Legacy, Level::Verbose, "hi"), "7:M 1709210096007 - hi");
        assert_eq!(line(Format::Legacy, Level::Debug, "h\r\ni"), "7:M 1709210096007 . h  i");
        assert_eq!(
            line(Format::Logfmt, Level::Notice, "a \"b\"\nc"),
            "pid=7 role=primary timestamp=\"1709210096007\" level=notice message=\"a 'b' c\""
        );
        assert_eq!(
            line(Format::Json, Level::Warning, "a \"b\"\n\u{c}\u{1}"),
            "{\"pid\":7,\"role\":\"primary\",\"timestamp\":\"1709210096007\",\
             \"level\":\"warning\",\"message\":\"a \\\"b\\\"\\n\\f\\u0001\"}"
        );
    }

    #[test]
    fn times_have_redis_shape() {
        let legacy = format_time(Timestamp::Legacy, NOW);
        assert!(legacy.contains(" Feb 2024 ") && legacy.ends_with(":56.007"), "{legacy}");
        let iso = format_time(Timestamp::Iso8601, NOW);
        assert!(iso.starts_with("2024-02-") && iso.contains(":56.007"), "{iso}");
    }
}
