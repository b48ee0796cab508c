//! What init is asked to run: a fixed-layout, checksummed message from the agent.
//!
//! init has [`Plan::built_in`] compiled in and starts by it when the agent never speaks; the shipped
//! `holdfast.toml` says the same, which a test of the agent holds to. All numbers little-endian,
//! all texts NUL-padded to the field's end:
//!
//! ```text
//!  plan                                       service
//!     4  "HFPL"                                 16  name
//!     2  version (2)                            64  program, an absolute path
//!    64  host name                               4  uid        4  gid
//!     2  hardware watchdog, s; 0: off            1  sandbox (0|1)
//!    35  network: see `network`                  …  policy: see `policy`
//!     1  number of services                      …  limits: see `limits`
//!     …  the services                            2  bytes of arguments (at most 1536)
//!     4  CRC-32 of everything before             …  the arguments, each ended by a NUL
//! ```

mod args;
mod limits;
pub mod network;
mod policy;

pub use args::{Args, MAX_ARGS_BYTES};
pub use limits::{Limits, Memory};
pub use network::{Ipv4, Lease, Network, StaticNetwork};
pub use policy::{MIN_BACKOFF_MS, MIN_GOOD_RUN_MS};

use heapless::{String, Vec};

use crate::bytes::{Malformed, Reader, Writer};
use crate::machine::{Policy, Restart};
use crate::paths;

/// Services in a plan. Today it is one, the server; the layout has room to grow.
pub const MAX_SERVICES: usize = 4;
/// Bytes of an encoded plan.
pub const MAX_PLAN_BYTES: usize = 8 * 1024;

/// Long enough for a boot on slow flash, short enough that nobody drives there.
const DEFAULT_WATCHDOG_S: u16 = 30;

const MAGIC: &[u8; 4] = b"HFPL";
const VERSION: u16 = 2;
const CRC_BYTES: usize = 4;

pub type Name = String<16>;
pub type HostName = String<64>;
pub type Path = String<64>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub hostname: HostName,
    /// Seconds until the hardware watchdog resets a machine that is not fed; 0 leaves it alone.
    pub watchdog_s: u16,
    pub network: Network,
    pub services: Vec<Service, MAX_SERVICES>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: Name,
    pub program: Path,
    pub args: Args,
    pub uid: u32,
    pub gid: u32,
    /// System calls and files are cut down to what it needs (on a machine; a container has its own).
    pub sandbox: bool,
    pub policy: Policy,
    pub limits: Limits,
}

impl Plan {
    /// The plan of a machine on which nobody configured anything.
    pub fn built_in() -> Self {
        let mut services = Vec::new();
        // One fits into MAX_SERVICES.
        let _ = services.push(Service::server());
        Self {
            hostname: text("holdfast"),
            watchdog_s: DEFAULT_WATCHDOG_S,
            network: Network::default(),
            services,
        }
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
        let watchdog_s = reader.u16()?;
        let network = Network::decode(&mut reader)?;
        let mut services = Vec::new();
        for _ in 0..reader.u8()? {
            let service = Service::decode(&mut reader)?;
            services.push(service).map_err(|_| Malformed("plan: too many services"))?;
        }
        reader.finish()?;
        if services.is_empty() {
            return Err(Malformed("plan: no service"));
        }
        Ok(Self { hostname, watchdog_s, network, services })
    }

    /// `None` cannot happen for a plan within its own limits; the bound is checked by a test.
    pub fn encode(&self) -> Option<Vec<u8, MAX_PLAN_BYTES>> {
        let mut writer = Writer::<MAX_PLAN_BYTES>::new();
        writer.put(MAGIC);
        writer.u16(VERSION);
        writer.text(&self.hostname);
        writer.u16(self.watchdog_s);
        self.network.encode(&mut writer);
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
            sandbox: true,
            policy: Policy {
                restart: Restart::Always,
                backoff_initial_ms: 250,
                backoff_max_ms: 30_000,
                good_run_ms: 10_000,
                start_limit: 0,
                stop_grace_ms: 5_000,
                startup_ms: 0,
                watchdog_ms: 0,
                permanent_exits: [125, 0, 0, 0, 0, 0, 0, 0],
            },
            limits: Limits {
                memory_max: Memory::Percent(85),
                memory_high: Memory::Unlimited,
                memory_min: Memory::Unlimited,
                pids_max: 256,
                cpu_weight: 0,
                cpu_max_percent: 0,
                io_read_bps: 0,
                io_write_bps: 0,
            },
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            name: non_empty(reader.text()?)?,
            program: absolute(reader.text()?)?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            sandbox: crate::bytes::flag(reader)?,
            policy: policy::decode(reader)?,
            limits: Limits::decode(reader)?,
            args: Args::decode(reader)?,
        })
    }

    fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.text(&self.name);
        writer.text(&self.program);
        writer.u32(self.uid);
        writer.u32(self.gid);
        writer.u8(u8::from(self.sandbox));
        policy::encode(&self.policy, writer);
        self.limits.encode(writer);
        self.args.encode(writer);
    }
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
