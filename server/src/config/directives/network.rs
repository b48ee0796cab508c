//! Where the server listens, who may connect, and the limits of a connection.

use super::super::directive::{Choices, LONG_MAX};
use super::super::directive::{
    Directive, Effect, INT_MAX, KB, MB, Special, UINT_MAX, Unit, boolean, choice, int, memory,
    optional, special, text,
};
use super::super::value::{OUTPUT_LIMITS, Value};

/// Who may use a protected command or directive.
pub(crate) const PROTECTED_NO: i64 = 0;
pub(crate) const PROTECTED_YES: i64 = 1;
pub(crate) const PROTECTED_LOCAL: i64 = 2;
const PROTECTED_ACTION: Choices =
    &[("no", PROTECTED_NO), ("yes", PROTECTED_YES), ("local", PROTECTED_LOCAL)];

const ALL_CHANNELS: i64 = 1;
const ACL_PUBSUB_DEFAULT: Choices = &[("allchannels", ALL_CHANNELS), ("resetchannels", 0)];

/// Every interface; IPv6 only where the machine has it.
fn any_address() -> Value {
    Value::List(vec![b"*".to_vec(), b"-::*".to_vec()])
}

fn default_output_limits() -> Value {
    Value::OutputLimits(OUTPUT_LIMITS)
}

pub(super) const DIRECTIVES: &[Directive] = &[
    int("port", 0, 65535, 6379).effect(Effect::Listen),
    special("bind", Special::Addresses, any_address).multi_arg().effect(Effect::Listen),
    optional("unixsocket").immutable(),
    int("unixsocketperm", 0, 0o777, 0).unit(Unit::Octal).immutable(),
    optional("unixsocketgroup").immutable().not_yet(),
    int("tcp-backlog", 0, INT_MAX, 511).immutable(),
    int("tcp-keepalive", 0, INT_MAX, 300),
    int("timeout", 0, INT_MAX, 0),
    int("maxclients", 1, UINT_MAX, 10000).effect(Effect::MaxClients),
    memory("proto-max-bulk-len", MB, LONG_MAX, 512 * MB),
    memory("client-query-buffer-limit", MB, LONG_MAX, 1024 * MB),
    special("client-output-buffer-limit", Special::ClientOutputBufferLimit, default_output_limits)
        .multi_arg(),
    int("io-threads", 1, 256, 1),
    optional("bind-source-addr").not_yet(),
    int("socket-mark-id", 0, UINT_MAX, 0).immutable().not_yet(),
    boolean("mptcp", false).immutable().not_yet(),
    // The accept loop is one task among the others: it cannot starve them.
    int("max-new-connections-per-cycle", 1, 1000, 10).moot(),
    int("max-new-tls-connections-per-cycle", 1, 1000, 1).moot(),
    // How Valkey hands work and replies between its threads.
    boolean("io-threads-always-active", false).hidden().moot(),
    int("prefetch-batch-max-size", 0, 128, 16).moot(),
    int("min-io-threads-avoid-copy-reply", 0, INT_MAX, 7).hidden().moot(),
    int("min-string-size-avoid-copy-reply", 0, INT_MAX, 16384).hidden().moot(),
    int("min-string-size-avoid-copy-reply-threaded", 0, INT_MAX, 65536).hidden().moot(),
    int("rdma-port", 0, 65535, 0).not_yet(),
    special("rdma-bind", Special::Addresses, || Value::List(Vec::new())).multi_arg().not_yet(),
    int("rdma-rx-size", 64 * KB, 16 * MB, MB).immutable().not_yet(),
    int("rdma-completion-vector", -1, 1024, -1).immutable().not_yet(),
    // Who may do what.
    optional("requirepass").sensitive(),
    boolean("protected-mode", true),
    choice("enable-protected-configs", PROTECTED_ACTION, PROTECTED_NO).immutable(),
    choice("enable-debug-command", PROTECTED_ACTION, PROTECTED_NO).immutable(),
    choice("enable-module-command", PROTECTED_ACTION, PROTECTED_NO).immutable().not_yet(),
    text("aclfile", "").immutable().not_yet(),
    choice("acl-pubsub-default", ACL_PUBSUB_DEFAULT, 0).not_yet(),
    int("acllog-max-len", 0, LONG_MAX, 128).not_yet(),
];
