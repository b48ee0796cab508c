//! A packet socket that hears ARP on one device, and nothing else.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, eth, recv, send, socket_with,
};
use tokio::net::UnixDatagram;

use super::packet;
use crate::network::dhcp::Mac;

/// More than came between the socket's making and its being tied to a device.
const MAX_DRAINED: usize = 64;
/// After an error, such as that the device is down.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Socket {
    /// In truth a packet socket: `recv` is the same call.
    socket: UnixDatagram,
}

impl Socket {
    /// Bound to the device before it is listened to: what other networks say does not count.
    pub(super) fn open(device: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, Some(eth::ARP))?;
        bind(socket.as_raw_fd(), &link(device)?)?;
        drain(&socket);
        Ok(Self { socket: UnixDatagram::from_std(socket.into())? })
    }

    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // Not tokio's call: that one waits to be told that a new socket is writable.
        send(&self.socket, frame, SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// Whatever else is heard is passed over; tokio sees to it that a flood of it holds nobody up.
    pub(super) async fn rival(&self, address: Ipv4Addr, mac: Mac) -> Mac {
        let mut buffer = [0; packet::FRAME_BYTES];
        loop {
            match self.socket.recv(&mut buffer).await {
                Ok(len) => {
                    let heard = buffer.get(..len).unwrap_or_default();
                    if let Some(rival) = packet::rival(heard, address, mac) {
                        return rival;
                    }
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// The kernel's own description of the device: its number is what counts.
fn link(device: &str) -> io::Result<LinkAddr> {
    let mut all = getifaddrs()?.filter(|each| each.interface_name == device);
    let link = all.find_map(|each| each.address?.as_link_addr().copied());
    link.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn drain(socket: &OwnedFd) {
    let mut buffer = [0; packet::FRAME_BYTES];
    for _ in 0..MAX_DRAINED {
        if recv(socket, &mut buffer[..], RecvFlags::DONTWAIT).is_err() {
            return;
        }
    }
}
