//! What the server tells about itself: logs, slow commands, latency, keyspace events.

use super::super::directive::{
    Choices, Directive, Effect, LONG_MAX, MB, Special, boolean, choice, int, optional, special,
    text,
};
use super::super::notify::Class;
use super::super::value::Value;

pub(crate) const LEVEL_DEBUG: i64 = 0;
pub(crate) const LEVEL_VERBOSE: i64 = 1;
pub(crate) const LEVEL_NOTICE: i64 = 2;
pub(crate) const LEVEL_WARNING: i64 = 3;
pub(crate) const LEVEL_NOTHING: i64 = 4;
const LOG_LEVEL: Choices = &[
    ("debug", LEVEL_DEBUG),
    ("verbose", LEVEL_VERBOSE),
    ("notice", LEVEL_NOTICE),
    ("warning", LEVEL_WARNING),
    ("nothing", LEVEL_NOTHING),
];

pub(crate) const FORMAT_LEGACY: i64 = 0;
pub(crate) const FORMAT_LOGFMT: i64 = 1;
pub(crate) const FORMAT_JSON: i64 = 2;
const LOG_FORMAT: Choices =
    &[("legacy", FORMAT_LEGACY), ("logfmt", FORMAT_LOGFMT), ("json", FORMAT_JSON)];

pub(crate) const TIMESTAMP_LEGACY: i64 = 0;
pub(crate) const TIMESTAMP_ISO8601: i64 = 1;
pub(crate) const TIMESTAMP_MILLISECONDS: i64 = 2;
const LOG_TIMESTAMP_FORMAT: Choices = &[
    ("legacy", TIMESTAMP_LEGACY),
    ("iso8601", TIMESTAMP_ISO8601),
    ("milliseconds", TIMESTAMP_MILLISECONDS),
];

/// The facility codes of RFC 5424, section 6.2.1.
const SYSLOG_FACILITY: Choices = &[
    ("user", 1),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

fn default_percentiles() -> Value {
    Value::Percentiles(vec![50.0, 99.0, 99.9])
}

pub(super) const DIRECTIVES: &[Directive] = &[
    choice("loglevel", LOG_LEVEL, LEVEL_NOTICE).effect(Effect::Log),
    text("logfile", "").immutable(),
    choice("log-format", LOG_FORMAT, FORMAT_LEGACY).effect(Effect::Log),
    choice("log-timestamp-format", LOG_TIMESTAMP_FORMAT, TIMESTAMP_LEGACY).effect(Effect::Log),
    // Nothing of a user's data is logged.
    boolean("hide-user-data-from-log", true).moot(),
    boolean("syslog-enabled", false).immutable(),
    text("syslog-ident", "holdfast").immutable(),
    choice("syslog-facility", SYSLOG_FACILITY, 16).immutable(),
    int("commandlog-execution-slower-than", -1, LONG_MAX, 10000).alias("slowlog-log-slower-than"),
    int("commandlog-slow-execution-max-len", 0, LONG_MAX, 128).alias("slowlog-max-len"),
    int("commandlog-request-larger-than", -1, LONG_MAX, MB),
    int("commandlog-large-request-max-len", 0, LONG_MAX, 128),
    int("commandlog-reply-larger-than", -1, LONG_MAX, MB),
    int("commandlog-large-reply-max-len", 0, LONG_MAX, 128),
    int("latency-monitor-threshold", 0, LONG_MAX, 0),
    boolean("latency-tracking", true),
    special("latency-tracking-info-percentiles", Special::LatencyPercentiles, default_percentiles)
        .multi_arg(),
    special("notify-keyspace-events", Special::NotifyKeyspaceEvents, || {
        Value::Events(Class::empty())
    }),
    optional("req-res-logfile").immutable().hidden().moot(),
];
