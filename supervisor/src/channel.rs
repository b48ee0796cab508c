//! The messages between init and agent, one per datagram of an inherited SOCK_SEQPACKET pair.
//!
//! ```text
//!  to init    1  kind: 1 plan, 2 keep the plan, 3 probe, 4 signal, 5 fail
//!             …  plan: see `plan`
//!                probe:  1 slot   4 run   1 verdict: 0 not ready, 1 ready, 2 hung
//!                signal: 1 slot   1 number
//!                fail:   1 how: 0 panic, 1 allocate
//!  to agent   1  kind: 16 snapshot
//!             …  see `snapshot`
//! ```
//!
//! A probe names the run it is about: a verdict that was on its way when the service ended must not
//! hit its successor.

use heapless::Vec;

use crate::bytes::{Malformed, Reader, Writer};
use crate::plan::{MAX_PLAN_BYTES, Plan};
use crate::snapshot::{MAX_SNAPSHOT_BYTES, Snapshot};

pub const MAX_TO_INIT_BYTES: usize = MAX_PLAN_BYTES + 1;
pub const MAX_TO_AGENT_BYTES: usize = MAX_SNAPSHOT_BYTES + 1;

const PLAN: u8 = 1;
const KEEP_PLAN: u8 = 2;
const PROBE: u8 = 3;
const SIGNAL: u8 = 4;
const FAIL: u8 = 5;
const SNAPSHOT: u8 = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack, one at a time, without a heap")]
pub enum ToInit {
    Plan(Plan),
    /// The configuration is bad: go on with the plan you have.
    KeepPlan,
    Probe {
        slot: u8,
        run: u32,
        verdict: Verdict,
    },
    /// From builds with the `test-hooks` feature only.
    Signal {
        slot: u8,
        number: u8,
    },
    /// PID 1 itself is to fail. From the same builds only.
    Fail(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Panic,
    Allocate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    NotReady,
    Ready,
    Hung,
}

impl ToInit {
    pub fn decode(input: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(input);
        let message = match reader.u8()? {
            PLAN => return Plan::decode(&input[1..]).map(Self::Plan),
            KEEP_PLAN => Self::KeepPlan,
            PROBE => Self::Probe {
                slot: reader.u8()?,
                run: reader.u32()?,
                verdict: match reader.u8()? {
                    0 => Verdict::NotReady,
                    1 => Verdict::Ready,
                    2 => Verdict::Hung,
                    _ => return Err(Malformed("unknown verdict")),
                },
            },
            SIGNAL => Self::Signal { slot: reader.u8()?, number: reader.u8()? },
            FAIL => Self::Fail(match reader.u8()? {
                0 => Failure::Panic,
                1 => Failure::Allocate,
                _ => return Err(Malformed("unknown failure")),
            }),
            _ => return Err(Malformed("unknown message")),
        };
        reader.finish()?;
        Ok(message)
    }

    pub fn encode(&self) -> Option<Vec<u8, MAX_TO_INIT_BYTES>> {
        let mut writer = Writer::new();
        match self {
            Self::Plan(plan) => {
                writer.u8(PLAN);
                writer.put(&plan.encode()?);
            }
            Self::KeepPlan => writer.u8(KEEP_PLAN),
            Self::Probe { slot, run, verdict } => {
                writer.u8(PROBE);
                writer.u8(*slot);
                writer.u32(*run);
                writer.u8(*verdict as u8);
            }
            Self::Signal { slot, number } => writer.put(&[SIGNAL, *slot, *number]),
            Self::Fail(failure) => writer.put(&[FAIL, *failure as u8]),
        }
        writer.finish()
    }
}

/// What init sends. There is one kind today.
pub fn encode_to_agent(snapshot: &Snapshot) -> Option<Vec<u8, MAX_TO_AGENT_BYTES>> {
    let mut writer = Writer::new();
    writer.u8(SNAPSHOT);
    snapshot.encode(&mut writer);
    writer.finish()
}

pub fn decode_to_agent(input: &[u8]) -> Result<Snapshot, Malformed> {
    match input.split_first() {
        Some((&SNAPSHOT, rest)) => Snapshot::decode(rest),
        _ => Err(Malformed("unknown message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_the_wire() {
        let messages = [
            ToInit::Plan(Plan::built_in()),
            ToInit::KeepPlan,
            ToInit::Probe { slot: 1, run: 77, verdict: Verdict::NotReady },
            ToInit::Probe { slot: 1, run: 77, verdict: Verdict::Ready },
            ToInit::Probe { slot: 1, run: 77, verdict: Verdict::Hung },
            ToInit::Signal { slot: 1, number: 19 },
            ToInit::Fail(Failure::Panic),
            ToInit::Fail(Failure::Allocate),
        ];
        for message in messages {
            let bytes = message.encode().expect("fits");
            assert_eq!(ToInit::decode(&bytes), Ok(message));
        }
    }

    proptest! {
        #[test]
        fn random_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(message) = ToInit::decode(&bytes) {
                let again = message.encode().expect("a decoded message fits");
                prop_assert_eq!(&again[..], &bytes[..]);
            }
            let _ = decode_to_agent(&bytes);
        }
    }
}
