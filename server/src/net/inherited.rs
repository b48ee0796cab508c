//! Listening sockets that came with the process (LISTEN_FDS). Whoever binds an address takes the
//! socket that has it, so that no connection is refused between one run and the next.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use socket2::Socket;

use crate::process::manager::Handed;

#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(Listening, IsTaken)>,
}

type IsTaken = bool;

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    pub socket: Socket,
    /// The manager keeps it for our next run.
    pub is_held: bool,
}

impl Inherited {
    /// What was handed over. That which does not listen to a stream is closed.
    pub fn from_manager(handed: Vec<Handed>) -> Self {
        let sockets = handed.into_iter().filter_map(|Handed { descriptor, is_held }| {
            let socket = Socket::from(descriptor);
            if let Err(error) = prepare(&socket) {
                crate::log::warning!("A descriptor in LISTEN_FDS is no listening socket: {error}");
                return None;
            }
            Some((Listening { socket, is_held }, false))
        });
        Self { sockets: sockets.collect() }
    }

    /// The socket that listens at this address, with a queue as long as `backlog` from now on.
    pub fn take_tcp(&mut self, wanted: SocketAddr, backlog: u32) -> Option<Listening> {
        let found = self.take(|socket| serves(socket, wanted))?;
        listen_anew(&found.socket, backlog).ok().map(|()| found)
    }

    /// The socket that clients reach through the file at `path`.
    pub fn take_unix(&mut self, path: &Path, backlog: u32) -> Option<Listening> {
        let is_there = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        // Nobody answers at a file that outlived its socket; ours listens.
        if !is_there || !answers(path) {
            return None;
        }
        let has_path = |socket: &Socket| {
            socket.local_addr().is_ok_and(|address| address.as_pathname() == Some(path))
        };
        let found = self.take(has_path)?;
        listen_anew(&found.socket, backlog).ok().map(|()| found)
    }

    /// Each is taken once, but for those that serve two addresses.
    fn take(&mut self, is_wanted: impl Fn(&Socket) -> bool) -> Option<Listening> {
        let is_free = |socket: &Socket, taken: bool| !taken || serves_both(socket);
        let mut sockets = self.sockets.iter_mut();
        let (found, taken) = sockets
            .find(|(found, taken)| is_free(&found.socket, *taken) && is_wanted(&found.socket))?;
        *taken = true;
        let socket = found.socket.try_clone().ok()?;
        Some(Listening { socket, is_held: found.is_held })
    }

    /// Those that nobody wanted. They are closed when this is dropped.
    fn rest(&self) -> impl Iterator<Item = &Listening> {
        self.sockets.iter().filter(|(_, taken)| !taken).map(|(listening, _)| listening)
    }

    /// Whether the manager keeps one that nobody wanted.
    pub fn has_held_rest(&self) -> bool {
        self.rest().any(|socket| socket.is_held)
    }

    /// Says which came in vain.
    pub fn warn_of_rest(&self) {
        for Listening { socket, .. } in self.rest() {
            let address = socket.local_addr();
            let address = address.map_or_else(|error| error.to_string(), |a| name(&a));
            crate::log::warning!(
                "Closing the socket that listens at {address}: the configuration has no such address."
            );
        }
    }
}

fn name(address: &socket2::SockAddr) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => address.to_string(),
        (_, Some(path)) => path.display().to_string(),
        _ => "an address of another kind".to_owned(),
    }
}

/// Makes it like one that we opened; an error if it is something else than a listening stream.
fn prepare(socket: &Socket) -> io::Result<()> {
    let listens = sockopt::socket_acceptconn(socket)?;
    if !listens || sockopt::socket_type(socket)? != SocketType::STREAM {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
    }
    socket.set_nonblocking(true)
}

/// Whether clients of `wanted` end up here.
fn serves(socket: &Socket, wanted: SocketAddr) -> bool {
    let Some(bound) = socket.local_addr().ok().and_then(|address| address.as_socket()) else {
        return false;
    };
    let is_for_both = wanted.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && serves_both(socket);
    (bound.ip() == wanted.ip() || is_for_both) && bound.port() == wanted.port()
}

/// Every address of both families: what systemd's `ListenStream=PORT` opens.
fn serves_both(socket: &Socket) -> bool {
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    address.is_some_and(|address| address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        && sockopt::ipv6_v6only(socket).is_ok_and(|v6_only| !v6_only)
}

/// Whether anybody listens at `path`. Does not wait: it may be we who are to accept.
fn answers(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    // The queue may be full of clients that wait for us.
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

fn listen_anew(socket: &Socket, backlog: u32) -> io::Result<()> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;

    use socket2::{Domain, Type};

    use super::*;

    const BACKLOG: u32 = 16;

    fn tcp(address: &str, v6_only: bool) -> (Socket, SocketAddr) {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("made");
        if address.is_ipv6() {
            socket.set_only_v6(v6_only).expect("before bind");
        }
        socket.bind(&address.into()).expect("a free port");
        socket.listen(1).expect("bound");
        let address = socket.local_addr().expect("bound").as_socket().expect("TCP");
        (socket, address)
    }

    fn inherited(sockets: impl IntoIterator<Item = OwnedFd>) -> Inherited {
        let handed = |descriptor| Handed { descriptor, is_held: true };
        Inherited::from_manager(sockets.into_iter().map(handed).collect())
    }

    fn with_port(ip: IpAddr, port: u16) -> SocketAddr {
        SocketAddr::new(ip, port)
    }

    #[test]
    fn a_socket_is_taken_for_its_own_address_only_and_once() {
        let (socket, address) = tcp("127.0.0.1:0", false);
        let mut open = inherited([socket.into()]);
        assert!(open.has_held_rest());
        let other = with_port(address.ip(), address.port() ^ 1);
        assert!(open.take_tcp(other, BACKLOG).is_none());
        assert!(open.take_tcp(with_port([127, 0, 0, 2].into(), address.port()), BACKLOG).is_none());
        assert!(open.take_tcp(address, BACKLOG).is_some_and(|taken| taken.is_held));
        assert!(open.take_tcp(address, BACKLOG).is_none());
        assert!(!open.has_held_rest());
    }

    #[test]
    fn one_socket_for_both_families_serves_both() {
        let (socket, address) = tcp("[::]:0", false);
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        for order in [[v4, v6], [v6, v4]] {
            let [first, second] = order.map(|ip| with_port(ip, address.port()));
            let mut open = inherited([socket.try_clone().expect("a descriptor").into()]);
            assert!(open.take_tcp(first, BACKLOG).is_some());
            assert!(open.take_tcp(second, BACKLOG).is_some());
            let loopback = with_port(Ipv4Addr::LOCALHOST.into(), address.port());
            assert!(open.take_tcp(loopback, BACKLOG).is_none());
            assert!(!open.has_held_rest());
        }
        let (only_v6, address) = tcp("[::]:0", true);
        let mut open = inherited([only_v6.into()]);
        assert!(open.take_tcp(with_port(v4, address.port()), BACKLOG).is_none());
    }

    #[test]
    fn what_does_not_listen_is_not_taken() {
        let datagrams = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("made");
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("made");
        let file = std::fs::File::open("/dev/null").expect("there is one");
        let open = inherited([datagrams.into(), silent.into(), file.into()]);
        assert_eq!(open.sockets.len(), 0);
    }

    #[test]
    fn a_unix_socket_is_taken_while_its_file_leads_to_somebody() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        let open = || inherited([listener.try_clone().expect("a descriptor").into()]);
        assert!(open().take_unix(&path, BACKLOG).is_some());
        assert!(open().take_unix(&directory.path().join("t"), BACKLOG).is_none());
        std::fs::remove_file(&path).expect("it is there");
        assert!(open().take_unix(&path, BACKLOG).is_none());
        std::fs::write(&path, "").expect("a file in its place");
        assert!(open().take_unix(&path, BACKLOG).is_none());
    }

    /// Clients that wait for us must not have us wait for ourselves.
    #[test]
    fn a_full_queue_is_somebody() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        rustix::net::listen(&listener, 0).expect("a queue of one");
        let clients: Vec<bool> = (0..4).map(|_| answers(&path)).collect();
        assert_eq!(clients, [true; 4]);
        assert!(inherited([listener.into()]).take_unix(&path, BACKLOG).is_some());
    }
}
