//! The interfaces there are, and word that something about them has changed.
//!
//! What the kernel tells on the netlink socket is not read, only that it told: looking again is
//! right whatever was missed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::net::UnixDatagram;

use super::dhcp::Mac;

/// More interfaces than a machine of ours has.
const MAX_DEVICES: usize = 32;
/// `RTMGRP_LINK`.
const LINKS: u32 = 1;
/// Without the socket, and with it in case it lies.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOK_ANYHOW: Duration = Duration::from_secs(60);
/// A link that comes and goes all the time is looked at this often.
const AT_MOST_EVERY: Duration = Duration::from_millis(50);
/// Messages thrown away at once.
const MAX_DRAINED: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) mac: Mac,
    /// Something is plugged in, and the interface is up.
    pub(super) carrier: bool,
}

/// Ethernet interfaces in the order in which they came.
pub(super) fn scan() -> Vec<Device> {
    scan_in(Path::new("/sys/class/net"))
}

fn scan_in(folder: &Path) -> Vec<Device> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut devices: Vec<_> =
        names.take(MAX_DEVICES).filter_map(|name| Device::read(folder, name)).collect();
    devices.sort_by_key(|device| device.index);
    devices
}

impl Device {
    fn read(folder: &Path, name: String) -> Option<Self> {
        const ETHERNET: &str = "1";
        let file = |field| {
            let text = fs::read_to_string(folder.join(&name).join(field));
            text.map(|text| text.trim().to_owned()).ok()
        };
        if file("type")? != ETHERNET {
            return None;
        }
        let mac = mac(&file("address")?)?;
        let index = file("ifindex")?.parse().ok()?;
        // An interface that is down has no carrier to read.
        let carrier = file("carrier").is_some_and(|carrier| carrier == "1");
        Some(Self { name, index, mac, carrier })
    }
}

fn mac(text: &str) -> Option<Mac> {
    let mut mac = Mac::default();
    let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
    for slot in &mut mac {
        *slot = bytes.next()?.ok()?;
    }
    bytes.next().is_none().then_some(mac)
}

/// Tells that interfaces may have changed.
pub(super) struct Links {
    /// In truth a netlink socket: `recv` is the same call.
    socket: Option<UnixDatagram>,
}

impl Links {
    pub(super) fn open() -> Self {
        let socket = open();
        if let Err(error) = &socket {
            eprintln!("holdfast-agent: no word of interfaces from the kernel: {error}; looking");
        }
        Self { socket: socket.ok() }
    }

    pub(super) async fn changed(&mut self) {
        let Some(socket) = &self.socket else { return tokio::time::sleep(LOOK_AGAIN).await };
        let mut buffer = [0; 64];
        // An error is that it could not keep up, which is word enough.
        let told = tokio::time::timeout(LOOK_ANYHOW, socket.recv(&mut buffer)).await;
        if told.is_ok() {
            tokio::time::sleep(AT_MOST_EVERY).await;
            for _ in 0..MAX_DRAINED {
                let _ = socket.try_recv(&mut buffer);
            }
        }
    }
}

fn open() -> std::io::Result<UnixDatagram> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, LINKS))?;
    UnixDatagram::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_is_found_in_order_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("holdfast-net-{}", std::process::id()));
        let device = |name: &str, fields: &[(&str, &str)]| {
            fs::create_dir_all(folder.join(name)).expect("a folder");
            for (field, value) in fields {
                fs::write(folder.join(name).join(field), value).expect("written");
            }
        };
        device("lo", &[("type", "772\n"), ("ifindex", "1\n"), ("address", "00:00:00:00:00:00\n")]);
        let mac = ("address", "02:00:00:0a:0b:0c\n");
        device("enp9", &[("type", "1\n"), ("ifindex", "12\n"), mac, ("carrier", "1\n")]);
        device("eth0", &[("type", "1\n"), ("ifindex", "3\n"), mac]);
        device("wg0", &[("type", "65534\n"), ("ifindex", "4\n")]);
        device("odd", &[("type", "1\n"), ("ifindex", "5\n"), ("address", "02:00\n")]);
        let found = scan_in(&folder);
        fs::remove_dir_all(&folder).expect("removed");
        let seen: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.index, d.carrier)).collect();
        assert_eq!(seen, [("eth0", 3, false), ("enp9", 12, true)]);
        assert_eq!(found[0].mac, [2, 0, 0, 0x0a, 0x0b, 0x0c]);
    }
}
