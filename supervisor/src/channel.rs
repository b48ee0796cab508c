//! The messages between init and agent, one per datagram of an inherited SOCK_SEQPACKET pair.
//!
//! ```text
//!  to init    1  kind
//!                 1 plan           …  see `plan`
//!                 2 keep the plan
//!                 3 probe          1  slot   4  run   1  verdict: 0 not ready, 1 ready, 2 hung
//!                 4 signal         1  slot   1  number
//!                 5 fail           1  how: 0 panic, 1 allocate, 2 spin, 3 fault, 4 no agent
//!                 6 alive
//!                 7 control        1  slot   1  what: 0 start, 1 stop, 2 restart, 3 reload
//!                 8 lease          …  see `plan::network`
//!                 9 no lease
//!                10 step clock     8  Unix time, ms
//!                11 slew clock     8  by how much, µs, signed
//!                12 end            1  how: 0 reboot, 1 power off, 2 factory reset
//!                13 link up       16  device
//!                14 try the other slot at the next start
//!                15 keep the slot that is on trial
//!  to agent   1  kind
//!                16 snapshot       …  see `snapshot`
//!                17 log            1  slot   8  bytes this stream wrote before   …  text
//! ```
//!
//! A probe names the run it is about: a verdict that was on its way when the service ended must not
//! hit its successor.

use heapless::Vec;

use crate::bytes::{Malformed, Reader, Writer};
use crate::plan::{Lease, MAX_PLAN_BYTES, Name, Plan};
use crate::snapshot::{MAX_SNAPSHOT_BYTES, Snapshot, one_of};

pub const MAX_TO_INIT_BYTES: usize = MAX_PLAN_BYTES + 1;
pub const MAX_TO_AGENT_BYTES: usize = MAX_SNAPSHOT_BYTES + 1;

const PLAN: u8 = 1;
const KEEP_PLAN: u8 = 2;
const PROBE: u8 = 3;
const SIGNAL: u8 = 4;
const FAIL: u8 = 5;
const ALIVE: u8 = 6;
const CONTROL: u8 = 7;
const LEASE: u8 = 8;
const NO_LEASE: u8 = 9;
const STEP_CLOCK: u8 = 10;
const SLEW_CLOCK: u8 = 11;
const END: u8 = 12;
const LINK_UP: u8 = 13;
const TRY_OTHER_SLOT: u8 = 14;
const KEEP_SLOT: u8 = 15;
const SNAPSHOT: u8 = 16;
const LOG: u8 = 17;

/// The slot of init's own lines in the log.
pub const INIT_SLOT: u8 = 255;
/// Of one message of the log.
pub const MAX_LOG_BYTES: usize = 1920;
/// Steps the clock may be slewed by in one go: more is a step.
pub const MAX_SLEW_US: i64 = 500_000;

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
    /// The agent's loop turns. Without it for long enough the agent is hung.
    Alive,
    Control {
        slot: u8,
        what: Control,
    },
    /// The address that DHCP gave; replaces the one before.
    Lease(Lease),
    /// The lease is over: the address must not be used any more.
    NoLease,
    /// Set the wall clock.
    StepClock {
        unix_ms: u64,
    },
    /// Let the wall clock run into place, at most [`MAX_SLEW_US`] either way.
    SlewClock {
        offset_us: i64,
    },
    End(End),
    /// An interface has appeared: bring it up, and give it what is fixed for it.
    LinkUp {
        device: Name,
    },
    /// The other slot holds a whole system: have the firmware start it, once.
    TryOtherSlot,
    /// This start's trial went well: have the firmware start this slot from now on.
    KeepSlot,
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Control {
    Start = 0,
    Stop = 1,
    Restart = 2,
    /// SIGHUP: read again what can be read again.
    Reload = 3,
}

impl Control {
    pub const ALL: [Self; 4] = [Self::Start, Self::Stop, Self::Restart, Self::Reload];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    Reboot = 0,
    PowerOff = 1,
    /// Reboot, and begin anew with an empty /data.
    FactoryReset = 2,
}

impl End {
    pub const ALL: [Self; 3] = [Self::Reboot, Self::PowerOff, Self::FactoryReset];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    Panic = 0,
    Allocate = 1,
    /// The loop never turns again.
    Spin = 2,
    /// A bad memory access, which ends it without a word of its own.
    Fault = 3,
    /// Not PID 1 itself: the agent ends, and no new one can be started.
    NoAgent = 4,
}

impl Failure {
    const ALL: [Self; 5] = [Self::Panic, Self::Allocate, Self::Spin, Self::Fault, Self::NoAgent];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    NotReady = 0,
    Ready = 1,
    Hung = 2,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::NotReady, Self::Ready, Self::Hung];
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
                verdict: one_of(&Verdict::ALL, reader.u8()?)?,
            },
            SIGNAL => Self::Signal { slot: reader.u8()?, number: reader.u8()? },
            FAIL => Self::Fail(one_of(&Failure::ALL, reader.u8()?)?),
            ALIVE => Self::Alive,
            CONTROL => {
                let slot = reader.u8()?;
                Self::Control { slot, what: one_of(&Control::ALL, reader.u8()?)? }
            }
            LEASE => Self::Lease(Lease::decode(&mut reader)?),
            NO_LEASE => Self::NoLease,
            STEP_CLOCK => Self::StepClock { unix_ms: reader.u64()? },
            SLEW_CLOCK => Self::SlewClock { offset_us: slew(reader.u64()? as i64)? },
            END => Self::End(one_of(&End::ALL, reader.u8()?)?),
            LINK_UP => Self::LinkUp { device: reader.text()? },
            TRY_OTHER_SLOT => Self::TryOtherSlot,
            KEEP_SLOT => Self::KeepSlot,
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
            Self::Alive => writer.u8(ALIVE),
            Self::Control { slot, what } => writer.put(&[CONTROL, *slot, *what as u8]),
            Self::Lease(lease) => {
                writer.u8(LEASE);
                lease.encode(&mut writer);
            }
            Self::NoLease => writer.u8(NO_LEASE),
            Self::StepClock { unix_ms } => {
                writer.u8(STEP_CLOCK);
                writer.u64(*unix_ms);
            }
            Self::SlewClock { offset_us } => {
                writer.u8(SLEW_CLOCK);
                writer.u64(*offset_us as u64);
            }
            Self::End(end) => writer.put(&[END, *end as u8]),
            Self::LinkUp { device } => {
                writer.u8(LINK_UP);
                writer.text(device);
            }
            Self::TryOtherSlot => writer.u8(TRY_OTHER_SLOT),
            Self::KeepSlot => writer.u8(KEEP_SLOT),
        }
        writer.finish()
    }
}

fn slew(offset_us: i64) -> Result<i64, Malformed> {
    let small = (-MAX_SLEW_US..=MAX_SLEW_US).contains(&offset_us);
    if small { Ok(offset_us) } else { Err(Malformed("a slew that is a step")) }
}

/// What init sends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack, one at a time, without a heap")]
pub enum ToAgent {
    Snapshot(Snapshot),
    /// What a service wrote. A gap between the end of one and `at` of the next was dropped.
    Log {
        slot: u8,
        /// Bytes that the stream wrote before these, since init started.
        at: u64,
        text: Vec<u8, MAX_LOG_BYTES>,
    },
}

impl ToAgent {
    pub fn decode(input: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(input);
        match reader.u8()? {
            SNAPSHOT => Snapshot::decode(&input[1..]).map(Self::Snapshot),
            LOG => {
                let (slot, at) = (reader.u8()?, reader.u64()?);
                let text = Vec::from_slice(reader.rest()).map_err(|_| Malformed("too long"))?;
                Ok(Self::Log { slot, at, text })
            }
            _ => Err(Malformed("unknown message")),
        }
    }

    pub fn encode(&self) -> Option<Vec<u8, MAX_TO_AGENT_BYTES>> {
        let mut writer = Writer::new();
        match self {
            Self::Snapshot(snapshot) => {
                writer.u8(SNAPSHOT);
                snapshot.encode(&mut writer);
            }
            Self::Log { slot, at, text } => {
                writer.put(&[LOG, *slot]);
                writer.u64(*at);
                writer.put(text);
            }
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::network::{MAX_ROUTES, Route};
    use crate::plan::{StaticNetwork, text};
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
            ToInit::Fail(Failure::Spin),
            ToInit::Alive,
            ToInit::Control { slot: 1, what: Control::Restart },
            ToInit::Lease(lease()),
            ToInit::NoLease,
            ToInit::StepClock { unix_ms: 1_795_000_000_000 },
            ToInit::SlewClock { offset_us: -MAX_SLEW_US },
            ToInit::End(End::FactoryReset),
            ToInit::LinkUp { device: text("eth0") },
            ToInit::TryOtherSlot,
            ToInit::KeepSlot,
        ];
        for message in messages {
            let bytes = message.encode().expect("fits");
            assert_eq!(ToInit::decode(&bytes), Ok(message));
        }
    }

    fn lease() -> Lease {
        let address = core::net::Ipv4Addr::new(10, 0, 2, 15);
        let gateway = Some(core::net::Ipv4Addr::new(10, 0, 2, 2));
        let route = Route { to: address, prefix: 32, gateway: None };
        let dns = [gateway, None];
        let network = StaticNetwork { device: text("eth0"), address, prefix: 24, gateway, dns };
        Lease {
            network,
            lease_s: 3600,
            mtu: 1460,
            hostname: text("box"),
            domain: text("lan"),
            routes: Vec::from_slice(&[route; MAX_ROUTES]).expect("the bound"),
        }
    }

    #[test]
    fn a_log_message_holds_as_much_as_it_says() {
        let text = Vec::from_slice(&[b'x'; MAX_LOG_BYTES]).expect("the bound");
        let message = ToAgent::Log { slot: INIT_SLOT, at: u64::MAX, text };
        let bytes = message.encode().expect("fits");
        assert_eq!(ToAgent::decode(&bytes), Ok(message));
        let too_long = [&bytes[..], b"x"].concat();
        assert!(ToAgent::decode(&too_long).is_err());
    }

    #[test]
    fn a_slew_is_small() {
        let step = ToInit::SlewClock { offset_us: MAX_SLEW_US + 1 };
        assert!(ToInit::decode(&step.encode().expect("fits")).is_err());
    }

    proptest! {
        #[test]
        fn random_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(message) = ToInit::decode(&bytes) {
                let again = message.encode().expect("a decoded message fits");
                prop_assert_eq!(&again[..], &bytes[..]);
            }
            let _ = ToAgent::decode(&bytes);
        }
    }
}
