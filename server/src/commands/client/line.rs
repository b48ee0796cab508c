//! One client as a line of CLIENT LIST and CLIENT INFO.

use std::io::Write as _;

use super::tracking::redirect_of;
use crate::engine::{Address, Client, Closing, Topic, Tracker, Tracking, TrackingMode};

/// `field=value` pairs in Redis' order, with a line end.
pub(super) fn of(client: &Client, tracking: &Tracking, now_ms: i64) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let transaction = client.transaction.as_ref();
    let mut line = Vec::with_capacity(512);
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} capa={} db={} sub={} psub={} ssub={} multi={} watch={} qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl=0 oll={} omem={} tot-mem={} events={} cmd={} user=default redir={} resp={} lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
        client.id,
        client.address,
        client.local_address,
        client.fd,
        text(&client.name),
        (now_ms - client.created_ms) / 1000,
        (now_ms - client.last_active_ms) / 1000,
        flags(client, tracking),
        if client.can_redirect { "r" } else { "" },
        client.db,
        client.subscriptions.len(Topic::Channel),
        client.subscriptions.len(Topic::Pattern),
        client.subscriptions.len(Topic::Shard),
        transaction.map_or(-1, |transaction| transaction.len() as i64),
        client.watched.len(),
        client.buffers.query_len,
        client.buffers.query_free,
        transaction.map_or(0, |transaction| transaction.len_bytes()),
        client.buffers.output_capacity,
        client.buffers.output_capacity,
        usize::from(client.buffers.output_len > 0),
        client.buffers.output_len,
        client.memory_bytes(),
        if client.buffers.output_len > 0 { "rw" } else { "r" },
        client.last_command.map_or("NULL", |id| &id.entry().full_name),
        redirect_of(tracking.tracker(client.id)),
        client.protocol.version(),
        text(&client.lib_name),
        text(&client.lib_version),
        client.bytes_in,
        client.bytes_out,
        client.commands,
    );
    line
}

/// The letters that are known to filters, whether or not a client can have them yet.
pub(super) const FLAGS: &[u8] = b"OSMPxbtRBdcuAUreTIiEN";

pub(super) fn flags(client: &Client, tracking: &Tracking) -> String {
    let tracker = tracking.tracker(client.id);
    let broadcasts = |tracker: &Tracker| tracker.options.mode == TrackingMode::Broadcast;
    let letters = [
        (client.transaction.is_some() || client.in_exec, 'x'),
        (client.monitors, 'O'),
        (!client.subscriptions.is_empty(), 'P'),
        (client.paused || client.is_blocked(), 'b'),
        (client.watch_broken.is_set(), 'd'),
        (client.closing == Closing::AfterReply, 'c'),
        (client.closing == Closing::Now, 'A'),
        (tracker.is_some(), 't'),
        (tracker.is_some_and(|tracker| tracker.broken_redirect), 'R'),
        (tracker.is_some_and(broadcasts), 'B'),
        (matches!(client.address, Address::Unix(_)), 'U'),
        (client.reads_only, 'r'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
        (client.import_source, 'I'),
    ];
    let set: String = letters.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter).collect();
    if set.is_empty() { "N".into() } else { set }
}
