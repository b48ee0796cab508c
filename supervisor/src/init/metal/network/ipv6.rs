//! IPv6 is the kernel's own affair (router advertisements); it is let or kept from it.

use core::fmt::Write;

use heapless::String;
use rustix::fs::{Mode, OFlags};
use rustix::net::netdevice;

use super::any_socket;
use crate::console::say;

/// For these interfaces and all that come later. Loopback keeps its `::1`.
pub(super) fn set(on: bool, interfaces: impl Iterator<Item = u32>) {
    switch("default", on);
    let Ok(socket) = any_socket() else { return };
    for index in interfaces {
        if let Ok(name) = netdevice::index_to_name_inlined(&socket, index) {
            switch(name.as_str(), on);
        }
    }
}

/// A kernel without IPv6 has no such file, which is off enough.
fn switch(interface: &str, on: bool) {
    let mut path = String::<80>::new();
    let _ = write!(path, "/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    let value = if on { b"0" } else { b"1" };
    let written = rustix::fs::open(&*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(file, value));
    match written {
        Err(errno) if on || errno == rustix::io::Errno::NOENT => {}
        Err(errno) => say!("network: cannot turn IPv6 off for {interface}: {errno}"),
        Ok(_) => {}
    }
}
