//! What init tells the agent about itself: pushed whole after every change, last one wins.
//!
//! ```text
//!  snapshot                                   service
//!     1  mode: 0 container, 1 metal             16  name
//!     1  phase: 0 running, 1 shutting down       1  state (see `encode_state`)
//!     1  plan: 0 built in, 1 from the agent    8+8  its two instants, ms
//!     4  degraded, a bit each                    4  pid, 0: none
//!     8  started at, ms                          4  run, counted from 1
//!     8  allocations after start-up              4  failures   4  restarts
//!     4  boots of this installation              4  hangs      4  out-of-memory kills
//!     1  how the last one ended (`LastEnd`)      4  its last clearing, ms
//!     1  why the watchdog was not fed then       1  last exit: kind (see `encode_exit`)
//!     2  hardware watchdog, s; 0: none           4  last exit: value
//!     1  why it is not fed (`Starved`)           8  last exit: how long it ran, ms
//!    23  the slots (see `slots::View`)           8  last exit: when, ms
//!     1  number of services                      1  a newer plan waits for the next start
//!     …  the services                           64  its own words (sd_notify's STATUS)
//!                                                8  bytes of its log that were dropped
//! ```

use heapless::{String, Vec};

use crate::bytes::{Malformed, Reader, Writer, flag};
use crate::clock::Ms;
use crate::degraded::DegradedSet;
use crate::machine::{Exit, LastExit, Next, Record, SpawnStep, State, Why};
use crate::plan::{MAX_SERVICES, Name};
use crate::slots;

/// The plan's services and the agent.
pub const MAX_SLOTS: usize = MAX_SERVICES + 1;
/// A service's own words about itself.
pub type Status = String<64>;
/// Bytes of an encoded snapshot.
pub const MAX_SNAPSHOT_BYTES: usize = 1975;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Somebody else's kernel: no mounts, no network, no reboot.
    Container,
    /// The machine is ours.
    Metal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanSource {
    BuiltIn,
    Agent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub mode: Mode,
    pub shutting_down: bool,
    pub plan: PlanSource,
    pub degraded: DegradedSet,
    pub started_at: Ms,
    pub allocations: u64,
    pub boot: Boot,
    /// Seconds until the hardware watchdog resets the machine; 0: there is none.
    pub watchdog_s: u16,
    pub starved: Starved,
    pub slots: slots::View,
    pub services: Vec<ServiceView, MAX_SLOTS>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    pub name: Name,
    pub record: Record,
    pub pid: Option<u32>,
    pub run: u32,
    pub pending_restart: bool,
    /// What the service says of itself.
    pub status: Status,
    /// Bytes of its output that reached neither the console nor the agent.
    pub log_dropped: u64,
}

/// This start of the machine and the end of the one before; all zero in a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boot {
    /// Counted from 1 since /data was made; 0: not counted.
    pub count: u32,
    pub last: LastEnd,
    /// What init missed when the watchdog ended it; `No` when it was init's own loop.
    pub starved: Starved,
}

/// How the machine ended the last time it ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum LastEnd {
    #[default]
    Unknown = 0,
    /// In order.
    Clean = 1,
    /// Without a word: the power, or a reset button.
    PowerLost = 2,
    Watchdog = 3,
    /// PID 1 or the kernel.
    Panic = 4,
}

impl LastEnd {
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::Clean, Self::PowerLost, Self::Watchdog, Self::Panic];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Clean => "clean",
            Self::PowerLost => "power-lost",
            Self::Watchdog => "watchdog",
            Self::Panic => "panic",
        }
    }
}

/// Why the hardware watchdog is not fed, so that it will reset the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Starved {
    #[default]
    No = 0,
    /// The agent has not said that it lives.
    Agent = 1,
    /// The data disk does not answer, or with an error.
    Disk = 2,
    /// Of an earlier start, and nothing that could have told was left: init's loop or the disk.
    Untold = 3,
}

impl Starved {
    pub const ALL: [Self; 4] = [Self::No, Self::Agent, Self::Disk, Self::Untold];

    /// Stable, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Agent => "agent",
            Self::Disk => "disk",
            Self::Untold => "untold",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::No => "nothing is missing",
            Self::Agent => "the agent is silent",
            Self::Disk => "the data disk does not answer well",
            Self::Untold => "it is not known",
        }
    }
}

impl Snapshot {
    pub fn decode(input: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(input);
        let mut snapshot = Self {
            mode: if flag(&mut reader)? { Mode::Metal } else { Mode::Container },
            shutting_down: flag(&mut reader)?,
            plan: if flag(&mut reader)? { PlanSource::Agent } else { PlanSource::BuiltIn },
            degraded: DegradedSet::from_bits(reader.u32()?)?,
            started_at: reader.u64()?,
            allocations: reader.u64()?,
            boot: Boot {
                count: reader.u32()?,
                last: one_of(&LastEnd::ALL, reader.u8()?)?,
                starved: one_of(&Starved::ALL, reader.u8()?)?,
            },
            watchdog_s: reader.u16()?,
            starved: one_of(&Starved::ALL, reader.u8()?)?,
            slots: slots::View::decode(&mut reader)?,
            services: Vec::new(),
        };
        for _ in 0..reader.u8()? {
            let service = ServiceView::decode(&mut reader)?;
            snapshot.services.push(service).map_err(|_| Malformed("too many services"))?;
        }
        reader.finish()?;
        Ok(snapshot)
    }

    pub fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.u8(u8::from(self.mode == Mode::Metal));
        writer.u8(u8::from(self.shutting_down));
        writer.u8(u8::from(self.plan == PlanSource::Agent));
        writer.u32(self.degraded.bits());
        writer.u64(self.started_at);
        writer.u64(self.allocations);
        writer.u32(self.boot.count);
        writer.u8(self.boot.last as u8);
        writer.u8(self.boot.starved as u8);
        writer.u16(self.watchdog_s);
        writer.u8(self.starved as u8);
        self.slots.encode(writer);
        writer.u8(self.services.len() as u8);
        for service in &self.services {
            service.encode(writer);
        }
    }

    pub fn service(&self, name: &str) -> Option<(usize, &ServiceView)> {
        self.services.iter().enumerate().find(|(_, service)| service.name == name)
    }
}

impl ServiceView {
    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let name = reader.text()?;
        let state = decode_state(reader)?;
        let pid = reader.u32()?;
        let run = reader.u32()?;
        let record = Record {
            state,
            failures: reader.u32()?,
            restarts: reader.u32()?,
            hangs: reader.u32()?,
            oom_kills: reader.u32()?,
            cleared_ms: reader.u32()?,
            last_exit: decode_exit(reader)?,
        };
        let pending_restart = flag(reader)?;
        let (status, log_dropped) = (reader.text()?, reader.u64()?);
        let pid = (pid != 0).then_some(pid);
        Ok(Self { name, record, pid, run, pending_restart, status, log_dropped })
    }

    fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.text(&self.name);
        encode_state(self.record.state, writer);
        writer.u32(self.pid.unwrap_or(0));
        writer.u32(self.run);
        writer.u32(self.record.failures);
        writer.u32(self.record.restarts);
        writer.u32(self.record.hangs);
        writer.u32(self.record.oom_kills);
        writer.u32(self.record.cleared_ms);
        encode_exit(self.record.last_exit, writer);
        writer.u8(u8::from(self.pending_restart));
        writer.text(&self.status);
        writer.u64(self.log_dropped);
    }
}

pub(crate) fn one_of<T: Copy>(all: &[T], number: u8) -> Result<T, Malformed> {
    all.get(usize::from(number)).copied().ok_or(Malformed("a choice that does not exist"))
}

/// Without what moves at every sign of life: see [`State::shown`].
fn encode_state<const N: usize>(state: State, writer: &mut Writer<N>) {
    let (tag, first, second) = match state {
        State::Down => (0, 0, 0),
        State::Starting { since, .. } => (1, since, 0),
        State::Ready { since, .. } => (2, since, 0),
        State::Unready { since, .. } => (3, since, 0),
        State::Backoff { until } => (4, until, 0),
        State::Failed => (5, 0, 0),
        State::Clearing { until, next: Next::Start } => (6, until, 0),
        State::Clearing { until, next: Next::Backoff { until: start } } => (7, until, start),
        State::Clearing { until, next: Next::Down } => (8, until, 0),
        State::Clearing { until, next: Next::Failed } => (9, until, 0),
        State::Stopping { since, deadline, killed, why, .. } => {
            (STOPPING + why as u8 * 2 + u8::from(killed), since, deadline)
        }
    };
    writer.u8(tag);
    writer.u64(first);
    writer.u64(second);
}

/// From here on two tags for each [`Why`]: asked, and killed.
const STOPPING: u8 = 10;

fn decode_state(reader: &mut Reader) -> Result<State, Malformed> {
    let (tag, first, second) = (reader.u8()?, reader.u64()?, reader.u64()?);
    let clearing = |next| State::Clearing { until: first, next };
    Ok(match tag {
        0 => State::Down,
        1 => State::Starting { since: first, until: None },
        2 => State::Ready { since: first, until: None },
        3 => State::Unready { since: first, until: None },
        4 => State::Backoff { until: first },
        5 => State::Failed,
        6 => clearing(Next::Start),
        7 => clearing(Next::Backoff { until: second }),
        8 => clearing(Next::Down),
        9 => clearing(Next::Failed),
        STOPPING.. => State::Stopping {
            since: first,
            deadline: second,
            latest: second,
            killed: (tag - STOPPING) % 2 == 1,
            why: one_of(&Why::ALL, (tag - STOPPING) / 2)?,
        },
    })
}

fn encode_exit<const N: usize>(last: Option<LastExit>, writer: &mut Writer<N>) {
    let (kind, value) = match last.map(|last| last.exit) {
        None => (0, 0),
        Some(Exit::Code(code)) => (1, u32::from(code)),
        Some(Exit::Signal(signal)) => (2, u32::from(signal)),
        Some(Exit::Oom) => (3, 0),
        Some(Exit::Hung) => (4, 0),
        Some(Exit::Late) => (6, 0),
        Some(Exit::Spawn { step, errno }) => (5, u32::from(step as u8) << 16 | u32::from(errno)),
    };
    writer.u8(kind);
    writer.u32(value);
    writer.u64(last.map_or(0, |last| last.ran_ms));
    writer.u64(last.map_or(0, |last| last.at));
}

fn decode_exit(reader: &mut Reader) -> Result<Option<LastExit>, Malformed> {
    let (kind, value) = (reader.u8()?, reader.u32()?);
    let (ran_ms, at) = (reader.u64()?, reader.u64()?);
    let byte = u8::try_from(value).map_err(|_| Malformed("exit value too large"));
    let exit = match kind {
        0 => return Ok(None),
        1 => Exit::Code(byte?),
        2 => Exit::Signal(byte?),
        3 => Exit::Oom,
        4 => Exit::Hung,
        5 => decode_spawn_failure(value)?,
        6 => Exit::Late,
        _ => return Err(Malformed("unknown kind of exit")),
    };
    Ok(Some(LastExit { exit, ran_ms, at }))
}

fn decode_spawn_failure(value: u32) -> Result<Exit, Malformed> {
    let step = u8::try_from(value >> 16).ok().and_then(SpawnStep::from_u8);
    let step = step.ok_or(Malformed("unknown spawn step"))?;
    Ok(Exit::Spawn { step, errno: (value & 0xffff) as u16 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::text;
    use proptest::prelude::*;

    fn snapshot(states: &[State], exits: &[Option<Exit>]) -> Snapshot {
        let mut services = Vec::new();
        for (state, exit) in states.iter().zip(exits) {
            let last_exit = exit.map(|exit| LastExit { exit, ran_ms: 5, at: 6 });
            let record =
                Record { state: *state, failures: 1, cleared_ms: 3, last_exit, ..Record::NEW };
            let view = ServiceView {
                name: text("server"),
                record,
                pid: None,
                run: 7,
                pending_restart: true,
                status: text("loading"),
                log_dropped: 9,
            };
            services.push(view).expect("within the limit");
        }
        let mut degraded = DegradedSet::default();
        degraded.insert(crate::degraded::Degraded::NoCgroups);
        Snapshot {
            mode: Mode::Metal,
            shutting_down: true,
            plan: PlanSource::Agent,
            degraded,
            started_at: 1,
            allocations: 2,
            boot: Boot { count: 3, last: LastEnd::Watchdog, starved: Starved::Agent },
            watchdog_s: 30,
            starved: Starved::Disk,
            slots: slots::View {
                obstacle: slots::Obstacle::TwoDisks,
                running: Some(slots::Slot::B),
                good: Some(slots::Slot::A),
                is_trial: true,
                is_armed: true,
                errno: 28,
                other_device: text("nvme0n1p1"),
            },
            services,
        }
    }

    fn encoded(snapshot: &Snapshot) -> Vec<u8, MAX_SNAPSHOT_BYTES> {
        let mut writer = Writer::new();
        snapshot.encode(&mut writer);
        writer.finish().expect("a full snapshot fits")
    }

    #[test]
    fn every_state_and_exit_survives_the_wire() {
        let stopping = |why| {
            [false, true].map(|killed| State::Stopping {
                since: 1,
                deadline: 2,
                latest: 2,
                killed,
                why,
            })
        };
        let clearing = |next| State::Clearing { until: 1, next };
        let states = [
            State::Down,
            State::Starting { since: 1, until: None },
            State::Ready { since: 2, until: None },
            State::Unready { since: 3, until: None },
            State::Backoff { until: 4 },
            State::Failed,
            clearing(Next::Start),
            clearing(Next::Backoff { until: 9 }),
            clearing(Next::Down),
            clearing(Next::Failed),
        ];
        let states = states.into_iter().chain(Why::ALL.into_iter().flat_map(stopping));
        let exits = [
            None,
            Some(Exit::Code(1)),
            Some(Exit::Signal(9)),
            Some(Exit::Oom),
            Some(Exit::Hung),
            Some(Exit::Late),
            Some(Exit::Spawn { step: SpawnStep::Exec, errno: 2 }),
        ];
        for state in states {
            for exit in exits {
                let snapshot = snapshot(&[state; MAX_SLOTS], &[exit; MAX_SLOTS]);
                assert_eq!(Snapshot::decode(&encoded(&snapshot)), Ok(snapshot));
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
            if let Ok(snapshot) = Snapshot::decode(&bytes) {
                prop_assert_eq!(Snapshot::decode(&encoded(&snapshot)), Ok(snapshot));
            }
        }

        #[test]
        fn cut_snapshots_are_refused(len in 0usize..400) {
            let good = encoded(&snapshot(&[State::Failed; 5], &[None; 5]));
            prop_assume!(len < good.len());
            prop_assert!(Snapshot::decode(&good[..len]).is_err());
        }
    }
}
