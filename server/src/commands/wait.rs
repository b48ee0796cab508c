//! WAIT and WAITAOF: a client waits until what it wrote is safe. There are no replicas, so that only
//! the log can make it so.

use super::spec::{Command, Flags, Group};
use crate::engine::{Block, Call, Waits, wait_reply};
use crate::error::{self, Result};
use crate::keyspace::Kind;

pub(super) const COMMANDS: &[Command] = &[WAIT, WAITAOF];

const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

const WAIT: Command = Command {
    name: "wait",
    syntax: "numreplicas:integer timeout:integer",
    summary: "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.",
    since: "3.0.0",
    group: Group::Generic,
    flags: Flags::BLOCKING.union(Flags::CONNECTION),
    handler: Some(wait),
    tips: ALL_SHARDS,
    ..Command::BASE
};

fn wait(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let replicas = args.int()?;
    let deadline_ms = args.deadline_ms(call.now)?;
    if replicas <= 0 || !call.may_block() {
        call.reply.int(0);
        return Ok(());
    }
    block(call, deadline_ms, Waits::ForReplicas)
}

const WAITAOF: Command = Command {
    name: "waitaof",
    syntax: "numlocal:integer numreplicas:integer timeout:integer",
    summary: "Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the primary and/or replicas.",
    since: "7.2.0",
    group: Group::Generic,
    flags: Flags::BLOCKING.union(Flags::CONNECTION),
    handler: Some(wait_for_log),
    tips: ALL_SHARDS,
    ..Command::BASE
};

fn wait_for_log(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let local = args.int()?;
    if !(0..=1).contains(&local) {
        return Err(error::out_of_range_between(0, 1));
    }
    let replicas = args.int()?;
    if replicas < 0 {
        return Err(error::must_be_positive());
    }
    let deadline_ms = args.deadline_ms(call.now)?;
    call.engine.hand_over_journal();
    let end = call.engine.host.log_end();
    if local > 0 && end.is_none() {
        return Err(error::WAITAOF_WITHOUT_LOG);
    }
    let offset = end.as_ref().map_or(u64::MAX, |end| end.offset);
    let reached = end.is_some_and(|end| end.log.reached(offset));
    let is_enough = (reached || local == 0) && replicas == 0;
    if is_enough || !call.may_block() {
        wait_reply(&mut call.reply, i64::from(reached));
        return Ok(());
    }
    block(call, deadline_ms, Waits::ForLog { offset, ends: replicas == 0 })?;
    // Background work asks the log to be told.
    call.engine.wake_cron_before(call.now.ms());
    Ok(())
}

fn block(call: &mut Call<'_>, deadline_ms: Option<i64>, waits: Waits) -> Result {
    // No key is waited for, so that no type matters.
    let kind = Kind::String;
    call.block(Block { keys: Vec::new(), kind, deadline_ms, on_delete: false, waits })
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    #[test]
    fn arguments_are_refused_in_valkeys_words() {
        let mut world = World::new();
        let client = world.connect();
        let between = "-ERR value is out of range, value must between 0 and 1\r\n";
        let no_log =
            "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n";
        for (command, answer) in [
            ("WAITAOF 2 0 0", between),
            ("WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n"),
            ("WAITAOF 1 0 0", no_log),
            ("WAIT x 0", "-ERR value is not an integer or out of range\r\n"),
            ("WAIT 1 -1", "-ERR timeout is negative\r\n"),
        ] {
            assert_eq!(world.run(client, command), answer, "{command}");
        }
    }

    #[test]
    fn without_replicas_waiting_for_them_ends_with_the_time() {
        let mut world = World::new();
        let (one, other) = (world.connect(), world.connect());
        assert_eq!(world.run(one, "WAIT 0 0"), ":0\r\n");
        assert_eq!(world.run(one, "WAITAOF 0 0 0"), "*2\r\n:0\r\n:0\r\n");
        assert_eq!(world.run(one, "WAIT 1 10"), "");
        assert_eq!(world.run(other, "WAITAOF 0 1 10"), "");
        world.tick();
        assert_eq!(world.messages(one), "");
        world.pass_ms(10);
        world.tick();
        assert_eq!(world.messages(one), ":0\r\n");
        assert_eq!(world.messages(other), "*2\r\n:0\r\n:0\r\n");
        // Within a transaction nothing waits.
        world.run(one, "MULTI");
        world.run(one, "WAIT 1 0");
        assert_eq!(world.run(one, "EXEC"), "*1\r\n:0\r\n");
    }
}
