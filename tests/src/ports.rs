//! Free TCP ports. Redis knows no "port 0", so a port has to be chosen before the server starts.
//!
//! Several test binaries run at once, so a chosen port is leased: a locked file in the system's
//! scratch directory says that it is taken until the lease is dropped. Processes that know nothing
//! of the leases are seen by binding; the caller retries when one slips in between.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::{env, io, process};

/// Below Linux' ephemeral range (32768…), so that outgoing connections do not take them.
const FIRST: u16 = 21_500;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that no other holder of a lease uses.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    _locked: File,
}

impl PortLease {
    /// Leases a certain port.
    pub fn of(port: u16) -> io::Result<Self> {
        let file = File::create(directory()?.join(port.to_string()))?;
        file.try_lock()?;
        Ok(Self { port, _locked: file })
    }

    /// Leases a port that is free right now.
    pub fn acquire() -> io::Result<Self> {
        let directory = directory()?;
        let start = (process::id() as u16).wrapping_mul(97);
        for _ in 0..COUNT {
            let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = FIRST + step % COUNT;
            let file = File::create(directory.join(port.to_string()))?;
            if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Self { port, _locked: file });
            }
        }
        Err(io::Error::other(format!("no free port in {FIRST}..{}", FIRST + COUNT)))
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Each network namespace has ports of its own; the inode tells them apart (namespaces(7)).
fn directory() -> io::Result<PathBuf> {
    let namespace = fs::metadata("/proc/self/ns/net")?.ino();
    let directory = env::temp_dir().join("holdfast-test-ports").join(namespace.to_string());
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
