//! The rtnetlink requests of a machine with one address: link, address, routes.
//!
//! ```text
//!  nlmsghdr   4 length   2 type   2 flags   4 sequence   4 port
//!  then       ifinfomsg (16), ifaddrmsg (8) or rtmsg (12), whose fields are written below
//!  then       attributes: 2 length   2 type   value, padded to 4
//! ```
//!
//! Numbers are in the machine's own byte order. Source: linux/netlink.h, linux/rtnetlink.h,
//! linux/if_addr.h.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use heapless::Vec;
use holdfast_supervisor::plan::network::Route as Destination;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const MAX_REQUEST_BYTES: usize = 64;
const HEADER_BYTES: usize = 16;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
/// REQUEST | ACK; for new things also CREATE | REPLACE.
const CHANGE: u16 = 0x1 | 0x4;
const CREATE: u16 = CHANGE | 0x400 | 0x100;

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
/// Of an address that is good for ever.
const FOREVER: u32 = u32::MAX;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
/// The gateway is on this link though no address says so: clouds give a /32.
const RTNH_F_ONLINK: u32 = 4;

pub(crate) type Request = Vec<u8, MAX_REQUEST_BYTES>;

pub(crate) fn link_up(index: u32) -> Request {
    request(RTM_NEWLINK, CHANGE, &link(index, IFF_UP))
}

pub(crate) fn set_mtu(index: u32, mtu: u16) -> Request {
    let mut body = link(index, 0);
    attribute(&mut body, IFLA_MTU, &u32::from(mtu).to_ne_bytes());
    request(RTM_NEWLINK, CHANGE, &body)
}

/// The flags that are to be on; all others stay as they are.
fn link(index: u32, flags: u32) -> Request {
    let mut body = Request::new();
    put(&mut body, &[0, 0, 0, 0]);
    put(&mut body, &index.to_ne_bytes());
    put(&mut body, &flags.to_ne_bytes());
    put(&mut body, &flags.to_ne_bytes());
    body
}

/// For so many seconds; 0 is for ever. The same address again gets a new time.
pub(crate) fn add_address(index: u32, local: Ipv4Addr, prefix: u8, seconds: u32) -> Request {
    let mut body = address(index, local, prefix);
    let seconds = if seconds == 0 { FOREVER } else { seconds };
    let mut times = [0; 16];
    times[..4].copy_from_slice(&seconds.to_ne_bytes());
    times[4..8].copy_from_slice(&seconds.to_ne_bytes());
    attribute(&mut body, IFA_CACHEINFO, &times);
    request(RTM_NEWADDR, CREATE, &body)
}

pub(crate) fn remove_address(index: u32, local: Ipv4Addr, prefix: u8) -> Request {
    request(RTM_DELADDR, CHANGE, &address(index, local, prefix))
}

fn address(index: u32, local: Ipv4Addr, prefix: u8) -> Request {
    let mut body = Request::new();
    put(&mut body, &[AF_INET, prefix, 0, 0]);
    put(&mut body, &index.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, &local.octets());
    attribute(&mut body, IFA_ADDRESS, &local.octets());
    body
}

pub(crate) fn add_route(index: u32, to: &Destination) -> Request {
    request(RTM_NEWROUTE, CREATE, &route(index, to))
}

pub(crate) fn remove_route(index: u32, to: &Destination) -> Request {
    request(RTM_DELROUTE, CHANGE, &route(index, to))
}

fn route(index: u32, to: &Destination) -> Request {
    let (scope, flags) = match to.gateway {
        Some(_) => (RT_SCOPE_UNIVERSE, RTNH_F_ONLINK),
        None => (RT_SCOPE_LINK, 0),
    };
    let mut body = Request::new();
    put(&mut body, &[AF_INET, to.prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST]);
    put(&mut body, &flags.to_ne_bytes());
    if to.prefix > 0 {
        attribute(&mut body, RTA_DST, &to.to.octets());
    }
    if let Some(gateway) = to.gateway {
        attribute(&mut body, RTA_GATEWAY, &gateway.octets());
    }
    attribute(&mut body, RTA_OIF, &index.to_ne_bytes());
    body
}

/// Everywhere that no other route leads to.
pub(crate) fn everywhere(gateway: Ipv4Addr) -> Destination {
    Destination { to: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway: Some(gateway) }
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

/// All of ours have a multiple of four bytes.
fn attribute(body: &mut Request, kind: u16, value: &[u8]) {
    put(body, &(4 + value.len() as u16).to_ne_bytes());
    put(body, &kind.to_ne_bytes());
    put(body, value);
}

/// The largest request is 60 bytes.
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
        let to = Destination { to: Ipv4Addr::new(10, 9, 0, 0), prefix: 16, gateway: Some(gateway) };
        let requests = [
            (link_up(2), 32),
            (set_mtu(2, 1460), 40),
            (add_address(2, gateway, 24, 3600), 60),
            (remove_address(2, gateway, 24), 40),
            (add_route(2, &everywhere(gateway)), 44),
            (remove_route(2, &to), 52),
            (add_route(2, &Destination { gateway: None, ..to }), 44),
        ];
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
