//! The last lease, kept so that an agent that is started again goes on with it, and a machine that
//! is started again asks for the same address.
//!
//! Without the file a new lease is asked for, which is the same address again as a rule: what
//! cannot be read or written is no mistake. All of it is done aside: a disk that does not answer must
//! not keep the agent from its work.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_supervisor::paths;
use serde::{Deserialize, Serialize};

use super::devices::Device;
use super::dhcp::Mac;
use super::dhcp::lease::Held;
use crate::files::write_whole;

/// A lease with all its lists full is shorter.
const MAX_BYTES: u64 = 8 * 1024;

const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Times in `held` are of this boot's clock.
    boot: String,
    device: String,
    mac: Mac,
    held: Held,
}

/// The lease in force, when it is of this boot; else an address worth asking for.
pub(super) async fn load(device: &Device) -> (Option<Held>, Option<Ipv4Addr>) {
    let reading = tokio::task::spawn_blocking(|| read(&file()));
    let kept = tokio::time::timeout(PATIENCE, reading).await;
    let Ok(Ok(Some(kept))) = kept else { return (None, None) };
    if (kept.device.as_str(), kept.mac) != (&device.name, device.mac) {
        return (None, None);
    }
    let known = kept.held.lease.address;
    let this_boot = boot().is_some_and(|boot| boot == kept.boot);
    (this_boot.then_some(kept.held), Some(known))
}

pub(super) fn keep(device: &Device, held: &Held) {
    let Some(boot) = boot() else { return };
    let device = device.clone();
    let kept = Kept { boot, device: device.name, mac: device.mac, held: held.clone() };
    tokio::task::spawn_blocking(move || write(&file(), &kept));
}

pub(super) fn forget() {
    tokio::task::spawn_blocking(|| std::fs::remove_file(file()));
}

fn file() -> PathBuf {
    Path::new(paths::STATE).join("lease.json")
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn read(file: &Path) -> Option<Kept> {
    let short = std::fs::metadata(file).ok()?.len() <= MAX_BYTES;
    let bytes = short.then(|| std::fs::read(file).ok())??;
    serde_json::from_slice(&bytes).ok()
}

fn write(file: &Path, kept: &Kept) -> std::io::Result<()> {
    write_whole(file, &serde_json::to_vec(kept)?)
}

#[cfg(test)]
mod tests {
    use super::super::dhcp::lease::tests::usual;
    use super::*;

    #[test]
    fn a_lease_is_read_back_and_anything_else_is_nothing() {
        let file = std::env::temp_dir().join(format!("holdfast-lease-{}", std::process::id()));
        let held = Held::new(usual(), 5_000);
        let kept = Kept { boot: "b".into(), device: "eth0".into(), mac: [1; 6], held };
        write(&file, &kept).expect("written");
        assert_eq!(read(&file).map(|back| back.held), Some(kept.held));
        for bad in [&b"{}"[..], b"", b"\xff", &[b' '; 9000]] {
            std::fs::write(&file, bad).expect("written");
            assert!(read(&file).is_none());
        }
        std::fs::remove_file(&file).expect("removed");
        assert!(read(&file).is_none());
    }
}
