//! The socket on which services speak (NOTIFY_SOCKET of sd_notify(3)).
//!
//! It has a name of the kernel's choice in the abstract namespace, so it needs no directory that is
//! writable. Anybody may send to it; the kernel says who did.

use core::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};

use heapless::{String, Vec};
use holdfast_supervisor::notify::{MAX_NOTICE_BYTES, Notice};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::sys::datagram::{self, MAX_FDS};

/// `@` and the name: the kernel's are five hexadecimal digits.
pub(crate) type Name = String<32>;

pub(crate) struct NotifySocket {
    socket: OwnedFd,
    name: Name,
}

/// A notice and what came with it. Descriptors that nobody keeps are closed.
pub(crate) struct Received {
    /// 0: nobody that we can see.
    pub sender: i32,
    pub notice: Notice,
    pub descriptors: Vec<OwnedFd, MAX_FDS>,
}

impl NotifySocket {
    pub(crate) fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // Before anybody can send: a datagram that was queued before has no sender.
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
        let address = SocketAddrUnix::try_from(rustix::net::getsockname(&socket)?)?;
        let bytes = address.abstract_name().ok_or(Errno::INVAL)?;
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::INVAL)?;
        let mut name = Name::new();
        write!(name, "@{text}").map_err(|_| Errno::NAMETOOLONG)?;
        Ok(Self { socket, name })
    }

    /// As the environment has it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// `None` when there is none for now. What is too long says nothing.
    pub(crate) fn receive(&self) -> Option<Received> {
        let mut buffer = [0; MAX_NOTICE_BYTES];
        let datagram = datagram::receive(self.socket.as_fd(), &mut buffer).ok()?;
        let text = buffer.get(..datagram.len).filter(|_| !datagram.is_cut).unwrap_or_default();
        let notice = Notice::parse(text);
        Some(Received { sender: datagram.sender, notice, descriptors: datagram.descriptors })
    }
}
