//! One datagram with the sender's credentials and descriptors.
//!
//! Read here and not through a wrapper: a sender of another PID namespace has the number 0, which
//! their types do not have, or they return descriptors in memory of the heap.

use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use heapless::Vec;
use rustix::io::Errno;

/// Of one datagram; the kernel closes what is sent beyond them.
pub(crate) const MAX_FDS: usize = 8;
/// `CMSG_SPACE` of one ucred and of that many descriptors.
const CONTROL_BYTES: usize = 32 + 48;

pub(crate) struct Datagram {
    pub len: usize,
    /// It was longer than the buffer.
    pub is_cut: bool,
    /// 0: nobody that we can see.
    pub sender: i32,
    pub descriptors: Vec<OwnedFd, MAX_FDS>,
}

/// Aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

pub(crate) fn receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<Datagram, Errno> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a msghdr is numbers and pointers, for which zero means "none".
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: both buffers outlive the call, which writes no more than the lengths given.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) };
    let len = usize::try_from(len).map_err(|_| super::child::last_errno())?;
    let is_cut = message.msg_flags & libc::MSG_TRUNC != 0;
    let mut datagram = Datagram { len, is_cut, sender: 0, descriptors: Vec::new() };
    read_control(&message, &mut datagram);
    Ok(datagram)
}

fn read_control(message: &libc::msghdr, datagram: &mut Datagram) {
    // SAFETY: the kernel filled the control buffer and set its length; the macros stay within it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null at the end, otherwise a header within the buffer.
    while let Some(header) = unsafe { next.as_ref() } {
        // SAFETY: no more than address arithmetic on that header.
        let (data, empty) = unsafe { (libc::CMSG_DATA(header), libc::CMSG_LEN(0) as usize) };
        let len = header.cmsg_len.saturating_sub(empty);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if len >= size_of::<libc::ucred>() => {
                // SAFETY: the length was checked; a ucred is three plain numbers.
                datagram.sender = unsafe { data.cast::<libc::ucred>().read_unaligned() }.pid;
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for at in 0..len / size_of::<i32>() {
                    // SAFETY: within the length; the descriptor is ours alone from here on.
                    let descriptor = unsafe {
                        OwnedFd::from_raw_fd(data.cast::<i32>().add(at).read_unaligned())
                    };
                    // What does not fit is closed.
                    let _ = datagram.descriptors.push(descriptor);
                }
            }
            _ => {}
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}
