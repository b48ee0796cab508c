//! The three rtnetlink requests of a machine with one address: link up, address, default route.
//!
//! ```text
//!  nlmsghdr   4 length   2 type   2 flags   4 sequence   4 port
//!  then       ifinfomsg (16), ifaddrmsg (8) or rtmsg (12), whose fields are written below
//!  then       attributes: 2 length   2 type   value, padded to 4
//! ```
//!
//! Numbers are in the machine's own byte order. Source: linux/netlink.h, linux/rtnetlink.h.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use heapless::Vec;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const MAX_REQUEST_BYTES: usize = 64;
const HEADER_BYTES: usize = 16;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
/// REQUEST | ACK; for new things also CREATE | REPLACE.
const CHANGE: u16 = 0x1 | 0x4;
const CREATE: u16 = CHANGE | 0x400 | 0x100;

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;

pub(crate) type Request = Vec<u8, MAX_REQUEST_BYTES>;

pub(crate) fn link_up(index: u32) -> Request {
    let mut body = Request::new();
    put(&mut body, &[0, 0, 0, 0]);
    put(&mut body, &index.to_ne_bytes());
    put(&mut body, &IFF_UP.to_ne_bytes());
    put(&mut body, &IFF_UP.to_ne_bytes());
    request(RTM_NEWLINK, CHANGE, &body)
}

pub(crate) fn add_address(index: u32, address: Ipv4Addr, prefix: u8) -> Request {
    let mut body = Request::new();
    put(&mut body, &[AF_INET, prefix, 0, 0]);
    put(&mut body, &index.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, address.octets());
    attribute(&mut body, IFA_ADDRESS, address.octets());
    request(RTM_NEWADDR, CREATE, &body)
}

pub(crate) fn default_route(index: u32, gateway: Ipv4Addr) -> Request {
    let mut body = Request::new();
    put(&mut body, &[AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST]);
    put(&mut body, &[0; 4]);
    attribute(&mut body, RTA_GATEWAY, gateway.octets());
    attribute(&mut body, RTA_OIF, index.to_ne_bytes());
    request(RTM_NEWROUTE, CREATE, &body)
}

fn request(kind: u16, flags: u16, body: &[u8]) -> Request {
    let mut request = Request::new();
    put(&mut request, &((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
    put(&mut request, &kind.to_ne_bytes());
    put(&mut request, &flags.to_ne_bytes());
    put(&mut request, &1u32.to_ne_bytes());
    put(&mut request, &0u32.to_ne_bytes());
    put(&mut request, body);
    request
}

fn attribute(body: &mut Request, kind: u16, value: [u8; 4]) {
    put(body, &8u16.to_ne_bytes());
    put(body, &kind.to_ne_bytes());
    put(body, &value);
}

/// The largest request is 44 bytes.
fn put(request: &mut Request, bytes: &[u8]) {
    request.extend_from_slice(bytes).expect("a request is far shorter than its buffer");
}

pub(crate) struct Route {
    socket: OwnedFd,
}

impl Route {
    pub(crate) fn open() -> Result<Self, Errno> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket })
    }

    /// Sends one request and reads the kernel's answer to it.
    pub(crate) fn ask(&self, request: &Request) -> Result<(), Errno> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, request, SendFlags::empty(), &kernel)?;
        let mut answer = [0; 256];
        let (len, _) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        result(answer.get(..len).unwrap_or_default())
    }
}

/// An acknowledgement is an error message with errno 0.
fn result(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let errno = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, errno) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(errno)) => Err(Errno::from_raw_os_error(-errno)),
        _ => Err(Errno::BADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_their_own_length() {
        let gateway = Ipv4Addr::new(10, 0, 2, 2);
        let requests =
            [(link_up(2), 32), (add_address(2, gateway, 24), 40), (default_route(2, gateway), 44)];
        for (request, len) in requests {
            assert_eq!(request.len(), len);
            assert_eq!(request[..4], (len as u32).to_ne_bytes());
        }
    }

    #[test]
    fn answers_are_read_without_trust() {
        let mut ack = [0u8; 20];
        ack[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(result(&ack), Ok(()));
        ack[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(result(&ack), Err(Errno::EXIST));
        assert_eq!(result(&ack[..10]), Err(Errno::BADMSG));
        assert_eq!(result(&[]), Err(Errno::BADMSG));
    }
}
