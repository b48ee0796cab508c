//! When a service is started again, and how long it is waited for.
//!
//! ```text
//!  1  restart: 0 always, 1 on crash, 2 never     2  start limit
//!  4  first back-off, ms                         4  stop grace, ms
//!  4  longest back-off, ms                       4  time to become ready, ms; 0: no limit
//!  4  good run, ms                               4  longest silence (sd_notify WATCHDOG), ms; 0: none
//!                                                8  exit codes that are final, 0: unused
//! ```

use crate::bytes::{Malformed, Reader, Writer};
use crate::machine::{Policy, Restart};

/// Below these a service that ends at once would be started in a tight loop.
pub const MIN_GOOD_RUN_MS: u32 = 1_000;
pub const MIN_BACKOFF_MS: u32 = 10;

pub(super) fn decode(reader: &mut Reader) -> Result<Policy, Malformed> {
    let policy = decode_any(reader)?;
    let gentle = policy.good_run_ms >= MIN_GOOD_RUN_MS
        && policy.backoff_initial_ms >= MIN_BACKOFF_MS
        && policy.backoff_max_ms >= policy.backoff_initial_ms;
    if gentle { Ok(policy) } else { Err(Malformed("plan: a back-off that does not back off")) }
}

fn decode_any(reader: &mut Reader) -> Result<Policy, Malformed> {
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
        startup_ms: reader.u32()?,
        watchdog_ms: reader.u32()?,
        permanent_exits: reader.array()?,
    })
}

pub(super) fn encode<const N: usize>(policy: &Policy, writer: &mut Writer<N>) {
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
    writer.u32(policy.startup_ms);
    writer.u32(policy.watchdog_ms);
    writer.put(&policy.permanent_exits);
}
