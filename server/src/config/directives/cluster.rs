//! Cluster mode.

use super::super::directive::{
    Choices, Directive, INT_MAX, LONG_MAX, ULONG_MAX, Unit, boolean, choice, int, memory, optional,
    text,
};
use super::super::rules;

const ENDPOINT_TYPE: Choices = &[("ip", 0), ("hostname", 1), ("unknown-endpoint", 2)];
const CONFIG_SAVE_BEHAVIOR: Choices = &[("sync", 0), ("best-effort", 1)];

pub(super) const DIRECTIVES: &[Directive] = &[
    boolean("cluster-enabled", false).immutable().not_yet(),
    text("cluster-config-file", "nodes.conf")
        .immutable()
        .rule(rules::cluster_config_file)
        .not_yet(),
    choice("cluster-config-save-behavior", CONFIG_SAVE_BEHAVIOR, 0).not_yet(),
    int("cluster-databases", 1, INT_MAX, 1).immutable().not_yet(),
    int("cluster-port", 0, 65535, 0).immutable().not_yet(),
    int("cluster-node-timeout", 0, LONG_MAX, 15000).not_yet(),
    int("cluster-ping-interval", 0, LONG_MAX, 0).hidden().not_yet(),
    int("cluster-message-gossip-perc", 1, 100, 10).hidden().not_yet(),
    memory("cluster-link-sendbuf-limit", 0, ULONG_MAX, 0).not_yet(),
    int("cluster-blacklist-ttl", 0, ULONG_MAX, 60).not_yet(),
    boolean("cluster-require-full-coverage", true).not_yet(),
    boolean("cluster-allow-reads-when-down", false).not_yet(),
    boolean("cluster-allow-pubsubshard-when-down", true).not_yet(),
    boolean("cluster-allow-replica-migration", true).not_yet(),
    int("cluster-migration-barrier", 0, INT_MAX, 1).not_yet(),
    int("cluster-replica-validity-factor", 0, INT_MAX, 10)
        .alias("cluster-slave-validity-factor")
        .not_yet(),
    boolean("cluster-replica-no-failover", false).alias("cluster-slave-no-failover").not_yet(),
    int("cluster-manual-failover-timeout", 1, INT_MAX, 5000).not_yet(),
    int("cluster-slot-migration-log-max-len", 0, LONG_MAX, 1000).not_yet(),
    int("slot-migration-max-failover-repl-bytes", -1, LONG_MAX, 0)
        .unit(Unit::MemoryOrNegative)
        .not_yet(),
    boolean("cluster-slot-stats-enabled", false).not_yet(),
    // Redis 8 only.
    int("cluster-compatibility-sample-ratio", 0, 100, 0).not_yet(),
    // What a node tells the others about itself.
    choice("cluster-preferred-endpoint-type", ENDPOINT_TYPE, 0).not_yet(),
    optional("cluster-announce-ip").rule(rules::announced_ip).not_yet(),
    optional("cluster-announce-client-ipv4").rule(rules::ipv4).not_yet(),
    optional("cluster-announce-client-ipv6").rule(rules::ipv6).not_yet(),
    int("cluster-announce-port", 0, 65535, 0).not_yet(),
    int("cluster-announce-tls-port", 0, 65535, 0).not_yet(),
    int("cluster-announce-bus-port", 0, 65535, 0).not_yet(),
    int("cluster-announce-client-port", 0, 65535, 0).not_yet(),
    int("cluster-announce-client-tls-port", 0, 65535, 0).not_yet(),
    optional("cluster-announce-hostname").rule(rules::announced_hostname).not_yet(),
    optional("cluster-announce-human-nodename").rule(rules::announced_node_name).not_yet(),
    text("availability-zone", ""),
];
