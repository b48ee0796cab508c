//! cgroup v2 limits of a service.
//!
//! ```text
//!  1+8  memory.max: kind, value      2  cpu.weight, 0: as it is
//!  1+8  memory.high: kind, value     2  cpu.max in percent of one CPU, 0: none
//!  1+8  memory.min: kind, value      8  io.max of the data disk, bytes read per second; 0: none
//!    4  pids.max, 0: none            8  the same, bytes written per second
//! ```

use crate::bytes::{Malformed, Reader, Writer};

/// cgroup v2 limits of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory_max: Memory,
    pub memory_high: Memory,
    /// Not reclaimed while others have memory to give.
    pub memory_min: Memory,
    /// 0: none.
    pub pids_max: u32,
    /// 1–10000; 0: the kernel's own 100.
    pub cpu_weight: u16,
    /// Of one CPU, so 150 is one and a half; 0: none.
    pub cpu_max_percent: u16,
    /// Bytes per second read from, and written to, the disk under /data; 0: none.
    pub io_read_bps: u64,
    pub io_write_bps: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Unlimited,
    Bytes(u64),
    /// Of the memory that is free when init starts; init knows it, the file need not.
    Percent(u8),
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

impl Limits {
    pub(super) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            memory_max: Memory::decode(reader)?,
            memory_high: Memory::decode(reader)?,
            memory_min: Memory::decode(reader)?,
            pids_max: reader.u32()?,
            cpu_weight: reader.u16()?,
            cpu_max_percent: reader.u16()?,
            io_read_bps: reader.u64()?,
            io_write_bps: reader.u64()?,
        })
    }

    pub(super) fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        self.memory_max.encode(writer);
        self.memory_high.encode(writer);
        self.memory_min.encode(writer);
        writer.u32(self.pids_max);
        writer.u16(self.cpu_weight);
        writer.u16(self.cpu_max_percent);
        writer.u64(self.io_read_bps);
        writer.u64(self.io_write_bps);
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
