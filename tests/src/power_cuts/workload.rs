//! What one connection writes, command by command, and what its data is after each of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crate::client::Client;
use crate::resp::Value;

/// Every so many commands a value is longer than a disk's sector, and than a page.
const LONG_EVERY: u64 = 61;
const LONG_BYTES: usize = 6_000;

const LIST_LEN: usize = 100;

/// The data of one connection after a number of its commands.
#[derive(Debug, Clone, Default, PartialEq)]
struct State {
    strings: BTreeMap<String, String>,
    list: VecDeque<String>,
    hash: BTreeMap<String, String>,
    scores: BTreeMap<String, u64>,
    set: BTreeSet<String>,
    counter: u64,
    stream: Vec<String>,
}

/// Values tell by which command they were written.
fn value(seq: u64) -> String {
    let mut text = format!("v{seq}");
    if seq.is_multiple_of(LONG_EVERY) {
        text.push_str(&"-".repeat(LONG_BYTES));
    }
    text
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

impl State {
    /// Command `seq`, and what it does.
    fn apply(&mut self, name: usize, seq: u64) -> Vec<String> {
        match seq % 10 {
            0 | 1 => {
                let (key, value) = (format!("w{name}:s{}", seq % 47), value(seq));
                self.strings.insert(key.clone(), value.clone());
                vec!["SET".to_owned(), key, value]
            }
            2 => {
                self.list.push_back(value(seq));
                words(&format!("RPUSH w{name}:list {}", value(seq)))
            }
            3 => {
                let surplus = self.list.len().saturating_sub(LIST_LEN);
                self.list.drain(..surplus);
                words(&format!("LTRIM w{name}:list -{LIST_LEN} -1"))
            }
            4 => {
                self.hash.insert(format!("f{}", seq % 37), value(seq));
                words(&format!("HSET w{name}:hash f{} {}", seq % 37, value(seq)))
            }
            5 => {
                self.scores.insert(format!("m{}", seq % 31), seq);
                words(&format!("ZADD w{name}:zset {seq} m{}", seq % 31))
            }
            6 => {
                self.set.insert(format!("m{}", seq % 59));
                words(&format!("SADD w{name}:set m{}", seq % 59))
            }
            7 => {
                self.set.remove(&format!("m{}", seq * 7 % 59));
                words(&format!("SREM w{name}:set m{}", seq * 7 % 59))
            }
            8 => {
                self.counter += 1;
                words(&format!("INCR w{name}:counter"))
            }
            _ => {
                self.stream.push(format!("{seq}-0"));
                words(&format!("XADD w{name}:stream {seq}-0 f {}", value(seq)))
            }
        }
    }

    /// What the server has of it.
    fn read(client: &mut Client, name: usize) -> Result<Self, String> {
        let mut ask = |text: &str| -> Result<Value, String> {
            let reply = client.command(&words(text)).map_err(|e| format!("{text}: {e}"))?;
            match reply.error_text() {
                Some(error) => Err(format!("{text}: {error}")),
                None => Ok(reply),
            }
        };
        let mut state = Self::default();
        for slot in 0..47 {
            let key = format!("w{name}:s{slot}");
            if let Some(bytes) = ask(&format!("GET {key}"))?.bytes() {
                state.strings.insert(key, text(bytes));
            }
        }
        state.list = flat(&ask(&format!("LRANGE w{name}:list 0 -1"))?).into();
        state.hash = pairs(flat(&ask(&format!("HGETALL w{name}:hash"))?));
        let scores = pairs(flat(&ask(&format!("ZRANGE w{name}:zset 0 -1 WITHSCORES"))?));
        let number = |score: String| score.parse().map_err(|_| format!("a score of {score}"));
        for (member, score) in scores {
            state.scores.insert(member, number(score)?);
        }
        state.set = flat(&ask(&format!("SMEMBERS w{name}:set"))?).into_iter().collect();
        let counter = ask(&format!("GET w{name}:counter"))?;
        state.counter = counter.bytes().map_or(Ok(0), |bytes| number(text(bytes)))?;
        let Value::Array(entries) = ask(&format!("XRANGE w{name}:stream - +"))? else {
            return Err("XRANGE answers no array".to_owned());
        };
        state.stream = entries.iter().filter_map(|entry| flat(entry).into_iter().next()).collect();
        Ok(state)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The strings of an array.
fn flat(value: &Value) -> Vec<String> {
    match value {
        Value::Array(elements) => elements.iter().filter_map(Value::bytes).map(text).collect(),
        _ => Vec::new(),
    }
}

fn pairs(flat: Vec<String>) -> BTreeMap<String, String> {
    flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// One connection's past: its data is known after each of its commands.
#[derive(Debug)]
pub(super) struct Writer {
    name: usize,
    /// How many of its commands are in [`Writer::state`].
    seq: u64,
    state: State,
}

/// What one connection did until the cut.
#[derive(Debug)]
pub(super) struct Round {
    from: u64,
    /// Sent at last, whether or not a reply came.
    sent: u64,
    /// When each command after `from` was acknowledged.
    acknowledged_at: Vec<Instant>,
}

impl Round {
    pub(super) fn count(&self) -> u64 {
        self.acknowledged_at.len() as u64
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.from + self.count()
    }

    pub(super) fn last_acknowledged(&self) -> Option<Instant> {
        self.acknowledged_at.last().copied()
    }

    /// The last command that had been acknowledged at `moment`.
    fn acknowledged_until(&self, moment: Option<Instant>) -> u64 {
        let Some(moment) = moment else { return self.from };
        self.from + self.acknowledged_at.partition_point(|at| *at <= moment) as u64
    }
}

impl Writer {
    pub(super) fn new(name: usize) -> Self {
        Self { name, seq: 0, state: State::default() }
    }

    /// Writes until the connection breaks; an error reply is a mistake.
    pub(super) fn write(&self, address: SocketAddr) -> Result<Round, String> {
        let mut state = self.state.clone();
        let mut round = Round { from: self.seq, sent: self.seq, acknowledged_at: Vec::new() };
        let Ok(mut client) = Client::connect(address) else { return Ok(round) };
        loop {
            let command = state.apply(self.name, round.sent + 1);
            if client.send(&command).is_err() {
                // The server may have got it all the same.
                round.sent += 1;
                return Ok(round);
            }
            round.sent += 1;
            let Ok(reply) = client.read() else { return Ok(round) };
            if let Some(error) = reply.error_text() {
                return Err(format!("{command:?} is answered by {error}"));
            }
            round.acknowledged_at.push(Instant::now());
        }
    }

    /// Finds after which of its commands the server stopped, and goes on from there. At `still_safe`
    /// everything acknowledged until then had to be safe.
    pub(super) fn settle(
        &mut self,
        client: &mut Client,
        round: &Round,
        still_safe: Option<Instant>,
    ) -> Result<u64, String> {
        let found = State::read(client, self.name)?;
        let least = round.acknowledged_until(still_safe);
        let mut state = self.state.clone();
        let mut latest = None;
        for seq in self.seq..=round.sent {
            if seq > self.seq {
                state.apply(self.name, seq);
            }
            if state == found {
                latest = Some(seq);
            }
        }
        let survived = latest.ok_or_else(|| {
            let (from, sent) = (self.seq, round.sent);
            format!(
                "WRONG: connection {} has what it never had from {from} to {sent}: {found:?}",
                self.name
            )
        })?;
        if survived < least {
            let lost = least - survived;
            return Err(format!(
                "LOST: {lost} commands of connection {} that were safe",
                self.name
            ));
        }
        for seq in self.seq + 1..=survived {
            self.state.apply(self.name, seq);
        }
        self.seq = survived;
        Ok(survived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_but_a_few_changes_the_data() {
        let mut state = State::default();
        let mut unchanged = 0;
        for seq in 1..=1_000 {
            let before = state.clone();
            state.apply(0, seq);
            unchanged += u64::from(state == before);
        }
        // LTRIM with nothing to trim, SADD of what is there, SREM of what is not.
        assert!(unchanged < 300, "{unchanged}");
    }

    #[test]
    fn a_round_knows_what_was_acknowledged_when() {
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        let round = Round { from: 5, sent: 8, acknowledged_at: vec![now, later] };
        assert_eq!(round.acknowledged_until(Some(now)), 6);
        assert_eq!(round.acknowledged_until(Some(later)), 7);
        assert_eq!(round.acknowledged_until(None), 5);
    }
}
