//! Streams: the nodes of the log as listpacks, what the stream remembers, and its groups.
//!
//! The second form added what is remembered of entries that are gone and how far groups have read,
//! the third when a consumer last got something. Numbers are written as lengths, the ids of nodes and
//! pending entries as 16 bytes, big-endian, so that their order is that of the bytes.

use std::collections::BTreeMap;

use super::{Error, Form, Reader, Result, Sink, Source, Writer, fails};
use crate::types::stream::{
    ConsumerId, Counters, Group, Groups, Log, Nack, Node, Stream, StreamId, progress,
};

pub(super) fn write(writer: &mut Writer<impl Sink>, stream: &Stream) {
    let nodes = stream.log().nodes();
    writer.count(nodes.len());
    for (master, node) in nodes {
        write_node(writer, master, node);
    }
    write_rest(writer, stream);
}

pub(super) fn write_node(writer: &mut Writer<impl Sink>, master: StreamId, node: &Node) {
    writer.string(&id_bytes(master));
    writer.made(|out| node.write_listpack(master, out));
}

/// What follows the entries.
pub(super) fn write_rest(writer: &mut Writer<impl Sink>, stream: &Stream) {
    let counters = stream.log().counters();
    writer.number(counters.len);
    for id in [counters.last_id, counters.first_id, counters.max_deleted_id] {
        write_id(writer, id);
    }
    writer.number(counters.entries_added);
    writer.count(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        writer.string(name);
        write_group(writer, group);
    }
}

fn write_id(writer: &mut Writer<impl Sink>, id: StreamId) {
    writer.number(id.ms);
    writer.number(id.seq);
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

fn write_group(writer: &mut Writer<impl Sink>, group: &Group) {
    write_id(writer, group.last_id);
    // -1 where it is not known.
    writer.number(group.entries_read.unwrap_or(-1) as u64);
    writer.count(group.pending_len());
    for (id, nack) in group.pending(..) {
        writer.raw(&id_bytes(id));
        writer.time(Some(nack.delivered_ms));
        writer.number(nack.deliveries);
    }
    writer.count(group.consumers().len());
    for consumer in group.consumers().iter() {
        writer.string(consumer.name());
        writer.time(Some(consumer.seen_ms));
        writer.time(consumer.active_ms);
        writer.count(consumer.pending().len());
        consumer.pending().iter().for_each(|id| writer.raw(&id_bytes(*id)));
    }
}

pub(super) fn read(reader: &mut Reader<impl Source>, form: Form) -> Result<Stream> {
    let mut nodes = Vec::new();
    for _ in 0..reader.number()? {
        let master = reader.string()?.try_into().map(id_of_bytes);
        let master = master.map_err(|_| Error::Corrupt("a stream's node has no id"))?;
        nodes.push((master, reader.string()?.to_vec()));
    }
    let log = read_log(reader, form, nodes)?;
    let mut groups = Groups::default();
    for _ in 0..reader.number()? {
        let name = reader.string()?.to_vec();
        let group = read_group(reader, form, &log)?;
        if !groups.insert(&name, group) {
            return Err(Error::Corrupt("Duplicated consumer group name"));
        }
    }
    Ok(Stream::from_parts(log, groups))
}

fn read_log(
    reader: &mut Reader<impl Source>,
    form: Form,
    nodes: Vec<(StreamId, Vec<u8>)>,
) -> Result<Log> {
    let mut counters =
        Counters { len: reader.number()?, last_id: read_id(reader)?, ..<_>::default() };
    if form == Form::Stream1 {
        counters.entries_added = counters.len;
    } else {
        counters.first_id = read_id(reader)?;
        counters.max_deleted_id = read_id(reader)?;
        counters.entries_added = reader.number()?;
    }
    let mut log = Log::from_parts(nodes, counters)
        .map_err(fails("Stream listpack integrity check failed."))?;
    if form == Form::Stream1 {
        log.find_first();
    }
    let ids = || log.all().map(|entry| entry.id);
    if ids().is_sorted_by(|a, b| a < b) && ids().last().is_none_or(|id| id <= log.last_id()) {
        Ok(log)
    } else {
        Err(Error::Corrupt("a stream's entries are not in order"))
    }
}

fn read_id(reader: &mut Reader<impl Source>) -> Result<StreamId> {
    Ok(StreamId::new(reader.number()?, reader.number()?))
}

fn id_of_bytes(bytes: [u8; 16]) -> StreamId {
    let number = u128::from_be_bytes(bytes);
    StreamId::new((number >> 64) as u64, number as u64)
}

fn read_group(reader: &mut Reader<impl Source>, form: Form, log: &Log) -> Result<Group> {
    let last_id = read_id(reader)?;
    let entries_read = match form {
        Form::Stream1 => progress::entries_up_to(log, last_id),
        _ => Some(reader.number()? as i64).filter(|read| *read >= 0),
    };
    let mut group = Group::new(last_id, entries_read);
    let mut unowned = read_pending(reader)?;
    for _ in 0..reader.number()? {
        read_consumer(reader, form, &mut group, &mut unowned)?;
    }
    if unowned.is_empty() {
        Ok(group)
    } else {
        Err(Error::Corrupt("Stream CG PEL entry without consumer"))
    }
}

/// When each pending entry was delivered, and how often. To whom follows with the consumers.
type Pending = BTreeMap<StreamId, (i64, u64)>;

fn read_pending(reader: &mut Reader<impl Source>) -> Result<Pending> {
    let mut pending = Pending::new();
    for _ in 0..reader.number()? {
        let id = id_of_bytes(reader.array()?);
        let delivered_ms = read_time(reader)?;
        if pending.insert(id, (delivered_ms, reader.number()?)).is_some() {
            return Err(Error::Corrupt(
                "Duplicated global PEL entry loading stream consumer group",
            ));
        }
    }
    Ok(pending)
}

fn read_time(reader: &mut Reader<impl Source>) -> Result<i64> {
    let unix_ms = reader.unix_ms()?;
    Ok(reader.deadline(unix_ms.max(0)))
}

fn read_consumer(
    reader: &mut Reader<impl Source>,
    form: Form,
    group: &mut Group,
    unowned: &mut Pending,
) -> Result {
    let name = reader.string()?.to_vec();
    let seen_ms = read_time(reader)?;
    let (id, true) = group.find_or_add_consumer(&name, seen_ms) else {
        return Err(Error::Corrupt("Duplicate stream consumer detected"));
    };
    group.consumer_mut(id).active_ms = match form {
        Form::Stream3 => reader.time()?,
        _ => Some(seen_ms),
    };
    for _ in 0..reader.number()? {
        let entry = id_of_bytes(reader.array()?);
        let found = unowned.remove(&entry);
        let (delivered_ms, deliveries) = found.ok_or_else(|| not_unowned(group, id, entry))?;
        group.assign(entry, Nack { consumer: id, delivered_ms, deliveries });
    }
    Ok(())
}

fn not_unowned(group: &Group, consumer: ConsumerId, entry: StreamId) -> Error {
    Error::Corrupt(match group.nack(entry) {
        None => "Consumer entry not found in group global PEL",
        Some(nack) if nack.consumer == consumer => {
            "Duplicated consumer PEL entry loading a stream consumer group"
        }
        Some(_) => "NACK already assigned to a different consumer",
    })
}
