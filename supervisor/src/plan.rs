//! What init is asked to run: a fixed-layout, checksummed message from the agent.
//!
//! init has [`Plan::built_in`] compiled in and starts by it when the agent never speaks; the shipped
//! `holdfast.toml` says the same, which a test of the agent holds to. All numbers little-endian,
//! all texts NUL-padded to the field's end:
//!
//! ```text
//!  plan                                       service
//!     4  "HFPL"                                 16  name
//!     2  version (1)                            64  program, an absolute path
//!    64  host name                               4  uid        4  gid
//!     1  static address present (0|1)            1  restart: 0 always, 1 on crash, 2 never
//!    16    device, empty: the first one          4  first back-off, ms
//!     4    address                               4  longest back-off, ms
//!     1    prefix length                         4  good run, ms
//!     4    gateway, 0.0.0.0: none                2  start limit
//!   4+4    name servers, 0.0.0.0: none           4  stop grace, ms
//!     1  number of services                    1+8  memory.max: kind, value
//!     …  the services                          1+8  memory.high: kind, value
//!     4  CRC-32 of everything before             4  pids.max, 0: none
//!                                                2  cpu.weight, 0: as it is
//!                                                2  bytes of arguments (at most 1024)
//!                                                …  the arguments, each ended by a NUL
//! ```

use core::ffi::CStr;
use core::net::Ipv4Addr;

use heapless::{String, Vec};

use crate::bytes::{Malformed, Reader, Writer};
use crate::machine::{Policy, Restart};
use crate::paths;

/// Services in a plan. Today it is one, the server; the layout has room to grow.
pub const MAX_SERVICES: usize = 4;
/// Bytes of one service's arguments, NULs included.
pub const MAX_ARGS_BYTES: usize = 1024;
/// Bytes of an encoded plan.
pub const MAX_PLAN_BYTES: usize = 6 * 1024;

const MAGIC: &[u8; 4] = b"HFPL";
const VERSION: u16 = 1;
const CRC_BYTES: usize = 4;

pub type Name = String<16>;
pub type HostName = String<64>;
pub type Path = String<64>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub hostname: HostName,
    pub network: Option<StaticNetwork>,
    pub services: Vec<Service, MAX_SERVICES>,
}

/// An address for one interface, for machines whose kernel command line has no `ip=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNetwork {
    /// Empty: the first interface that is not loopback.
    pub device: Name,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub dns: [Option<Ipv4Addr>; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: Name,
    pub program: Path,
    pub args: Args,
    pub uid: u32,
    pub gid: u32,
    pub policy: Policy,
    pub limits: Limits,
}

/// cgroup v2 limits of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory_max: Memory,
    pub memory_high: Memory,
    /// 0: none.
    pub pids_max: u32,
    /// 1–10000; 0: the kernel's own 100.
    pub cpu_weight: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Unlimited,
    Bytes(u64),
    /// Of the memory that is free when init starts; init knows it, the file need not.
    Percent(u8),
}

/// Words in one bounded buffer, each ended by a NUL as `execve` wants them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    bytes: Vec<u8, MAX_ARGS_BYTES>,
}

impl Args {
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Refuses a word with a NUL in it and one that does not fit.
    pub fn push(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if word.contains(&0) {
            return Err(Malformed("an argument contains a NUL byte"));
        }
        let full = Malformed("the arguments are longer than 1024 bytes");
        if self.bytes.capacity() - self.bytes.len() <= word.len() {
            return Err(full);
        }
        self.bytes.extend_from_slice(word).map_err(|_| full)?;
        self.bytes.push(0).map_err(|_| full)
    }

    /// The words, without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0).map(|word| &word[..word.len() - 1])
    }

    /// The words as C strings, in place.
    pub fn c_words(&self) -> impl Iterator<Item = &CStr> {
        let words = self.bytes.split_inclusive(|&byte| byte == 0);
        words.filter_map(|word| CStr::from_bytes_with_nul(word).ok())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.last().is_some_and(|&last| last != 0) {
            return Err(Malformed("the last argument has no end"));
        }
        Vec::from_slice(bytes)
            .map(|bytes| Self { bytes })
            .map_err(|_| Malformed("the arguments are longer than 1024 bytes"))
    }
}

impl Memory {
    /// In bytes, given what is free when init starts.
    pub fn bytes(self, free_bytes: u64) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Percent(percent) => Some(free_bytes / 100 * u64::from(percent)),
        }
    }
}

impl Plan {
    /// The plan of a machine on which nobody configured anything.
    pub fn built_in() -> Self {
        let mut services = Vec::new();
        // One fits into MAX_SERVICES.
        let _ = services.push(Service::server());
        Self { hostname: text("holdfast"), network: None, services }
    }

    pub fn decode(input: &[u8]) -> Result<Self, Malformed> {
        let body_len = input
            .len()
            .checked_sub(CRC_BYTES)
            .ok_or(Malformed("plan: shorter than its checksum"))?;
        let (body, crc) = input.split_at(body_len);
        if crc32fast::hash(body).to_le_bytes() != crc {
            return Err(Malformed("plan: the checksum is wrong"));
        }
        Self::decode_body(Reader::new(body))
    }

    fn decode_body(mut reader: Reader) -> Result<Self, Malformed> {
        if reader.array()? != *MAGIC {
            return Err(Malformed("plan: no magic number"));
        }
        if reader.u16()? != VERSION {
            return Err(Malformed("plan: a version this init does not know"));
        }
        let hostname = reader.text()?;
        let network = StaticNetwork::decode(&mut reader)?;
        let mut services = Vec::new();
        for _ in 0..reader.u8()? {
            let service = Service::decode(&mut reader)?;
            services.push(service).map_err(|_| Malformed("plan: too many services"))?;
        }
        reader.finish()?;
        if services.is_empty() {
            return Err(Malformed("plan: no service"));
        }
        Ok(Self { hostname, network, services })
    }

    /// `None` cannot happen for a plan within its own limits; the bound is checked by a test.
    pub fn encode(&self) -> Option<Vec<u8, MAX_PLAN_BYTES>> {
        let mut writer = Writer::<MAX_PLAN_BYTES>::new();
        writer.put(MAGIC);
        writer.u16(VERSION);
        writer.text(&self.hostname);
        StaticNetwork::encode(self.network.as_ref(), &mut writer);
        writer.u8(self.services.len() as u8);
        for service in &self.services {
            service.encode(&mut writer);
        }
        writer.u32(crc32fast::hash(writer.as_slice()));
        writer.finish()
    }
}

impl Service {
    /// The server as it runs when nobody says otherwise.
    pub fn server() -> Self {
        Self {
            name: text("server"),
            program: text(paths::SERVER),
            args: Args::new(),
            uid: paths::SERVICE_UID,
            gid: paths::SERVICE_GID,
            policy: Policy {
                restart: Restart::Always,
                backoff_initial_ms: 250,
                backoff_max_ms: 30_000,
                good_run_ms: 10_000,
                start_limit: 0,
                stop_grace_ms: 5_000,
            },
            limits: Limits {
                memory_max: Memory::Percent(85),
                memory_high: Memory::Unlimited,
                pids_max: 256,
                cpu_weight: 0,
            },
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            name: non_empty(reader.text()?)?,
            program: absolute(reader.text()?)?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            policy: decode_policy(reader)?,
            limits: Limits::decode(reader)?,
            args: {
                let len = reader.u16()?;
                Args::decode(reader.take(usize::from(len))?)?
            },
        })
    }

    fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.text(&self.name);
        writer.text(&self.program);
        writer.u32(self.uid);
        writer.u32(self.gid);
        encode_policy(&self.policy, writer);
        self.limits.encode(writer);
        writer.u16(self.args.bytes.len() as u16);
        writer.put(&self.args.bytes);
    }
}

/// Below these a service that ends at once would be started in a tight loop.
pub const MIN_GOOD_RUN_MS: u32 = 1_000;
pub const MIN_BACKOFF_MS: u32 = 10;

fn decode_policy(reader: &mut Reader) -> Result<Policy, Malformed> {
    let policy = decode_any_policy(reader)?;
    let gentle = policy.good_run_ms >= MIN_GOOD_RUN_MS
        && policy.backoff_initial_ms >= MIN_BACKOFF_MS
        && policy.backoff_max_ms >= policy.backoff_initial_ms;
    if gentle { Ok(policy) } else { Err(Malformed("plan: a back-off that does not back off")) }
}

fn decode_any_policy(reader: &mut Reader) -> Result<Policy, Malformed> {
    Ok(Policy {
        restart: match reader.u8()? {
            0 => Restart::Always,
            1 => Restart::OnCrash,
            2 => Restart::Never,
            _ => return Err(Malformed("plan: unknown restart policy")),
        },
        backoff_initial_ms: reader.u32()?,
        backoff_max_ms: reader.u32()?,
        good_run_ms: reader.u32()?,
        start_limit: reader.u16()?,
        stop_grace_ms: reader.u32()?,
    })
}

fn encode_policy<const N: usize>(policy: &Policy, writer: &mut Writer<N>) {
    writer.u8(match policy.restart {
        Restart::Always => 0,
        Restart::OnCrash => 1,
        Restart::Never => 2,
    });
    writer.u32(policy.backoff_initial_ms);
    writer.u32(policy.backoff_max_ms);
    writer.u32(policy.good_run_ms);
    writer.u16(policy.start_limit);
    writer.u32(policy.stop_grace_ms);
}

impl Limits {
    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            memory_max: Memory::decode(reader)?,
            memory_high: Memory::decode(reader)?,
            pids_max: reader.u32()?,
            cpu_weight: reader.u16()?,
        })
    }

    fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        self.memory_max.encode(writer);
        self.memory_high.encode(writer);
        writer.u32(self.pids_max);
        writer.u16(self.cpu_weight);
    }
}

impl Memory {
    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        match (reader.u8()?, reader.u64()?) {
            (0, 0) => Ok(Self::Unlimited),
            (1, bytes) => Ok(Self::Bytes(bytes)),
            (2, percent @ 1..=100) => Ok(Self::Percent(percent as u8)),
            _ => Err(Malformed("plan: not an amount of memory")),
        }
    }

    fn encode<const N: usize>(self, writer: &mut Writer<N>) {
        let (kind, value) = match self {
            Self::Unlimited => (0, 0),
            Self::Bytes(bytes) => (1, bytes),
            Self::Percent(percent) => (2, u64::from(percent)),
        };
        writer.u8(kind);
        writer.u64(value);
    }
}

impl StaticNetwork {
    fn decode(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let present = reader.u8()?;
        let network = Self {
            device: reader.text()?,
            address: reader.array::<4>()?.into(),
            prefix: reader.u8()?,
            gateway: optional(reader.array::<4>()?.into()),
            dns: [optional(reader.array::<4>()?.into()), optional(reader.array::<4>()?.into())],
        };
        match present {
            0 => Ok(None),
            1 if network.prefix <= 32 => Ok(Some(network)),
            _ => Err(Malformed("plan: not a network")),
        }
    }

    fn encode<const N: usize>(network: Option<&Self>, writer: &mut Writer<N>) {
        let Some(network) = network else {
            writer.put(&[0; 1 + 16 + 4 + 1 + 4 + 4 + 4]);
            return;
        };
        writer.u8(1);
        writer.text(&network.device);
        writer.put(&network.address.octets());
        writer.u8(network.prefix);
        for address in [network.gateway, network.dns[0], network.dns[1]] {
            writer.put(&address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        }
    }
}

fn optional(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}

fn non_empty(name: Name) -> Result<Name, Malformed> {
    if name.is_empty() { Err(Malformed("plan: a service without a name")) } else { Ok(name) }
}

fn absolute(program: Path) -> Result<Path, Malformed> {
    let good = program.starts_with('/');
    if good { Ok(program) } else { Err(Malformed("plan: a program without an absolute path")) }
}

/// A text known to fit, or as much of it as does.
pub fn text<const N: usize>(source: &str) -> String<N> {
    let mut text = String::new();
    for letter in source.chars() {
        if text.push(letter).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests;
