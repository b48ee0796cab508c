//! LATENCY: what the latency monitor saw, and how long commands usually take.

mod doctor;
mod graph;

use super::help;
use super::spec::{Command, Flags, Group};
use super::{Id, TABLE};
use crate::engine::{Call, Event, Histogram};
use crate::error::{self, Error, Result};

pub(super) const COMMANDS: &[Command] = &[LATENCY];

const LATENCY: Command = Command {
    name: "latency",
    summary: "A container for latency diagnostics commands.",
    complexity: "Depends on subcommand.",
    since: "2.8.13",
    group: Group::Server,
    subcommands: &[DOCTOR, GRAPH, HELP, HISTOGRAM, HISTORY, LATEST, RESET],
    ..Command::BASE
};

const SUBCOMMAND: Command = Command {
    since: "2.8.13",
    group: Group::Server,
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    ..Command::BASE
};

const DOCTOR: Command = Command {
    name: "doctor",
    summary: "Returns a human-readable latency analysis report.",
    handler: Some(doctor),
    ..SUBCOMMAND
};

fn doctor(call: &mut Call<'_>) -> Result {
    let report = doctor::report(call.engine, unix_s(call));
    call.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

const GRAPH: Command = Command {
    name: "graph",
    syntax: "event",
    summary: "Returns a latency graph for an event.",
    handler: Some(graph),
    ..SUBCOMMAND
};

fn graph(call: &mut Call<'_>) -> Result {
    let name = call.args().required()?;
    let found = Event::find(name).and_then(|event| Some((event, call.engine.latency.get(event)?)));
    let Some((event, series)) = found else {
        let name = error::printable(name);
        return Err(Error::owned(format!("ERR No samples available for event '{name}'")));
    };
    let graph = graph::render(event, series, unix_s(call));
    call.reply.verbatim("txt", graph.as_bytes());
    Ok(())
}

fn unix_s(call: &Call<'_>) -> i64 {
    call.now.unix_ms().div_euclid(1000)
}

const HISTORY: Command = Command {
    name: "history",
    syntax: "event",
    summary: "Returns timestamp-latency samples for an event.",
    handler: Some(history),
    ..SUBCOMMAND
};

fn history(call: &mut Call<'_>) -> Result {
    let event = Event::find(call.args().required()?);
    let Some(series) = event.and_then(|event| call.engine.latency.get(event)) else {
        call.reply.array(0);
        return Ok(());
    };
    call.reply.array(series.samples().len());
    for (second, ms) in series.samples() {
        call.reply.array(2);
        call.reply.int(second);
        call.reply.int(ms as i64);
    }
    Ok(())
}

const LATEST: Command = Command {
    name: "latest",
    summary: "Returns the latest latency samples for all events.",
    handler: Some(latest),
    ..SUBCOMMAND
};

fn latest(call: &mut Call<'_>) -> Result {
    let events = call.engine.latency.iter();
    call.reply.array(events.len());
    for (event, series) in events {
        let (second, ms) = series.latest();
        call.reply.array(6);
        call.reply.bulk(event.name().as_bytes());
        call.reply.int(second);
        for number in [ms, series.max_ms, series.sum_ms, series.count] {
            call.reply.int(number as i64);
        }
    }
    Ok(())
}

const RESET: Command = Command {
    name: "reset",
    syntax: "[event [event ...]]",
    summary: "Resets the latency data for one or more events.",
    handler: Some(reset),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    ..SUBCOMMAND
};

fn reset(call: &mut Call<'_>) -> Result {
    let args = call.args();
    let latency = &mut call.engine.latency;
    let count = if args.is_empty() {
        latency.forget_all()
    } else {
        args.filter_map(Event::find_any_case).filter(|event| latency.forget(*event)).count()
    };
    call.reply.len(count);
    Ok(())
}

const HISTOGRAM: Command = Command {
    name: "histogram",
    syntax: "[COMMAND [COMMAND ...]]",
    summary: "Returns the cumulative distribution of latencies of a subset or all commands.",
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    since: "7.0.0",
    handler: Some(histogram),
    ..SUBCOMMAND
};

fn histogram(call: &mut Call<'_>) -> Result {
    let args = call.args();
    let ids: Vec<Id> = if args.is_empty() {
        TABLE.all().collect()
    } else {
        args.filter_map(|name| find(call, name)).flat_map(with_subcommands).collect()
    };
    let histograms: Vec<(Id, &Histogram)> = ids
        .into_iter()
        .map(|id| (id, call.engine.stats.histogram(id)))
        .filter(|(_, histogram)| !histogram.is_empty())
        .collect();
    let reply = &mut call.reply;
    reply.map(histograms.len());
    for (id, histogram) in histograms {
        reply.bulk(id.entry().full_name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(histogram.total() as i64);
        reply.bulk(b"histogram_usec");
        let steps = histogram.cumulative();
        reply.map(steps.len());
        for (limit_ns, count) in steps {
            reply.int((limit_ns / 1000) as i64);
            reply.int(count as i64);
        }
    }
    Ok(())
}

/// `get`, or `client|id`.
fn find(call: &Call<'_>, name: &[u8]) -> Option<Id> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let id = call.engine.names.find(words.next()?)?;
    words.next().map_or(Some(id), |word| super::subcommand(id, word))
}

fn with_subcommands(id: Id) -> impl Iterator<Item = Id> {
    std::iter::once(id).chain(id.entry().subcommands.iter().copied())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    tips: &[],
    ..SUBCOMMAND
};

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    #[test]
    fn histograms_are_of_the_commands_asked_for() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "CONFIG RESETSTAT");
        for command in ["GET a", "GET b", "CLIENT ID", "CLIENT GETNAME"] {
            world.run(client, command);
        }
        let answer = world.run(client, "LATENCY HISTOGRAM get client nosuch set");
        assert!(answer.starts_with("*6\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:2\r\n"), "{answer}");
        assert!(answer.contains("client|id") && answer.contains("client|getname"), "{answer}");
        let answer = world.run(client, "LATENCY HISTOGRAM client|id");
        assert!(answer.starts_with("*2\r\n$9\r\nclient|id\r\n"), "{answer}");
        world.run(client, "CONFIG SET latency-tracking no");
        world.run(client, "CONFIG RESETSTAT");
        assert_eq!(world.run(client, "LATENCY HISTOGRAM"), "*0\r\n");
    }

    #[test]
    fn events_that_were_never_seen_are_no_error_but_for_their_graph() {
        let mut world = World::new();
        let client = world.connect();
        assert_eq!(world.run(client, "LATENCY LATEST"), "*0\r\n");
        assert_eq!(world.run(client, "LATENCY HISTORY command"), "*0\r\n");
        assert_eq!(world.run(client, "LATENCY RESET command"), ":0\r\n");
        let graph = world.run(client, "LATENCY GRAPH command");
        assert_eq!(graph, "-ERR No samples available for event 'command'\r\n");
        assert!(world.run(client, "LATENCY DOCTOR").contains("latency-monitor-threshold"));
    }
}
