//! The local syslog socket, in the form of RFC 3164 that every daemon reads.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::{Level, MONTHS, Syslog, sys};

const SOCKET: &str = "/dev/log";

pub(super) fn send(syslog: &Syslog, now: Duration, level: Level, text: &str) -> io::Result<()> {
    let t = sys::local_time(now.as_secs());
    let message = format!(
        "<{}>{} {:2} {:02}:{:02}:{:02} {}[{}]: {text}",
        u32::from(syslog.facility) * 8 + u32::from(level.severity()),
        MONTHS[t.month0],
        t.day,
        t.hour,
        t.minute,
        t.second,
        syslog.ident,
        std::process::id()
    );
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(message.as_bytes(), SOCKET).map(drop)
}
