//! The process: its databases, its place in the system, how it starts and stops.

use super::super::directive::{
    Choices, Directive, Effect, INT_MAX, LONG_MAX, Special, boolean, choice, int, optional,
    special, text,
};
use super::super::rules;
use super::super::value::Value;

pub(crate) const SUPERVISED_NO: i64 = 0;
pub(crate) const SUPERVISED_SYSTEMD: i64 = 1;
pub(crate) const SUPERVISED_UPSTART: i64 = 2;
pub(crate) const SUPERVISED_AUTO: i64 = 3;
const SUPERVISED: Choices = &[
    ("upstart", SUPERVISED_UPSTART),
    ("systemd", SUPERVISED_SYSTEMD),
    ("auto", SUPERVISED_AUTO),
    ("no", SUPERVISED_NO),
];

const OOM_SCORE_NO: i64 = 0;
pub(crate) const OOM_SCORE_RELATIVE: i64 = 1;
pub(crate) const OOM_SCORE_ABSOLUTE: i64 = 2;
const OOM_SCORE_ADJ: Choices = &[
    ("no", OOM_SCORE_NO),
    ("yes", OOM_SCORE_RELATIVE),
    ("relative", OOM_SCORE_RELATIVE),
    ("absolute", OOM_SCORE_ABSOLUTE),
];

pub(crate) const SHUTDOWN_SAVE: i64 = 1 << 0;
pub(crate) const SHUTDOWN_NOSAVE: i64 = 1 << 1;
pub(crate) const SHUTDOWN_NOW: i64 = 1 << 2;
pub(crate) const SHUTDOWN_FORCE: i64 = 1 << 3;
const SHUTDOWN_SAFE: i64 = 1 << 4;
const SHUTDOWN_FAILOVER: i64 = 1 << 5;
const SHUTDOWN_ON_SIGNAL: Choices = &[
    ("default", 0),
    ("save", SHUTDOWN_SAVE),
    ("nosave", SHUTDOWN_NOSAVE),
    ("now", SHUTDOWN_NOW),
    ("force", SHUTDOWN_FORCE),
    ("safe", SHUTDOWN_SAFE),
    ("failover", SHUTDOWN_FAILOVER),
];

fn default_oom_scores() -> Value {
    Value::OomScores([0, 200, 800])
}

pub(super) const DIRECTIVES: &[Directive] = &[
    int("databases", 1, INT_MAX, 16).immutable(),
    boolean("daemonize", false).immutable(),
    optional("pidfile").immutable(),
    choice("supervised", SUPERVISED, SUPERVISED_NO).immutable(),
    boolean("set-proc-title", true).immutable(),
    text("proc-title-template", "{title} {listen-addr} {server-mode}")
        .rule(rules::proc_title_template)
        .effect(Effect::Title),
    // Holdfast prints no logo.
    boolean("always-show-logo", false).immutable().moot(),
    choice("shutdown-on-sigint", SHUTDOWN_ON_SIGNAL, 0).multi_arg().rule(rules::shutdown_flags),
    choice("shutdown-on-sigterm", SHUTDOWN_ON_SIGNAL, 0).multi_arg().rule(rules::shutdown_flags),
    int("shutdown-timeout", 0, INT_MAX, 10).not_yet(),
    choice("oom-score-adj", OOM_SCORE_ADJ, OOM_SCORE_NO).effect(Effect::OomScore),
    special("oom-score-adj-values", Special::OomScoreAdjValues, default_oom_scores)
        .multi_arg()
        .effect(Effect::OomScore),
    // No child is forked, so no pages are copied: huge pages do no harm.
    boolean("disable-thp", true).immutable().moot(),
    optional("server-cpulist").alias("server_cpulist").immutable().not_yet(),
    optional("bio-cpulist").alias("bio_cpulist").immutable().not_yet(),
    optional("aof-rewrite-cpulist").alias("aof_rewrite_cpulist").immutable().moot(),
    optional("bgsave-cpulist").alias("bgsave_cpulist").immutable().moot(),
    // The warnings it silences are about fork and never printed.
    text("ignore-warnings", "").moot(),
    text("locale-collate", "").not_yet(),
    optional("hash-seed").immutable().rule(rules::hash_seed).not_yet(),
    int("busy-reply-threshold", 0, LONG_MAX, 5000).alias("lua-time-limit").not_yet(),
    boolean("lua-enable-insecure-api", false)
        .alias("lua-enable-deprecated-api")
        .protected()
        .hidden()
        .not_yet(),
    boolean("extended-redis-compatibility", false).not_yet(),
    // For the peers' developers.
    boolean("crash-log-enabled", true).moot(),
    boolean("crash-memcheck-enabled", true).moot(),
    boolean("use-exit-on-panic", false).hidden().moot(),
    boolean("enable-debug-assert", false).immutable().hidden().moot(),
    int("watchdog-period", 0, INT_MAX, 0).hidden().not_yet(),
    text("debug-context", "").hidden().moot(),
];
