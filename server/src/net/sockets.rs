//! Listening sockets, bound and not accepted on yet: on every `bind` address, and the unix socket.
//! One that is open already is used again, with whoever waits in its queue.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::inherited::{Inherited, Listening};
use crate::config::Settings;
use crate::config::settings::Bind;
use crate::log;

/// What is spoken on a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tcp,
    Tls,
}

impl Kind {
    /// As the log and INFO name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// A listening socket that nobody accepts on yet.
pub struct Bound {
    pub(super) listener: std::net::TcpListener,
    pub(super) kind: Kind,
    is_held: bool,
}

impl Bound {
    /// Whether the manager keeps it for our next run already.
    pub fn is_held(&self) -> bool {
        self.is_held
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// All that is to be accepted on.
pub struct Binding {
    pub sockets: Vec<Bound>,
    /// One of those before is not among them; the manager may keep it still.
    pub forgets: bool,
}

/// The listening TCP sockets by their address. One that a changed configuration still wants is kept.
#[derive(Default)]
pub struct Sockets(Vec<(SocketAddr, std::net::TcpListener)>);

impl Sockets {
    /// A listener on every address of `bind` at `port` and at `tls-port`; none for a port 0 or where
    /// `bind` is empty. An address with `-` in front may be missing on this machine. Nothing changes
    /// on an error.
    pub fn bind(
        &mut self,
        settings: &Settings,
        inherited: &mut Inherited,
    ) -> Result<Binding, String> {
        let (mut sockets, mut kept) = (Vec::new(), Self::default());
        for (port, kind) in [(settings.port, Kind::Tcp), (settings.tls.port, Kind::Tls)] {
            if port == 0 {
                continue;
            }
            let bound =
                self.bind_port(settings, port, &mut kept, inherited).inspect_err(|reason| {
                    log::warning!("Warning: {reason}");
                    log::warning!("Failed listening on port {port} ({}), aborting.", kind.name());
                })?;
            let bound = bound.into_iter();
            sockets.extend(bound.map(|(listener, is_held)| Bound { listener, kind, is_held }));
        }
        let unwanted = self.0.iter().filter(|(address, _)| kept.at(*address).is_none());
        let forgets = unwanted.map(|(_, listener)| close(listener)).count() > 0;
        *self = kept;
        Ok(Binding { sockets, forgets })
    }

    fn bind_port(
        &self,
        settings: &Settings,
        port: u16,
        kept: &mut Self,
        inherited: &mut Inherited,
    ) -> Result<Vec<(std::net::TcpListener, bool)>, String> {
        let mut listeners = Vec::new();
        for bind in &settings.bind {
            match self.bind_one(bind, port, settings.tcp_backlog, kept, inherited) {
                Ok(listener) => listeners.push(listener),
                Err(error) if bind.optional && is_missing(&error) => {}
                Err(error) => {
                    return Err(format!(
                        "Could not create server TCP listening socket {}:{port}: bind: {error}",
                        bind.host
                    ));
                }
            }
        }
        if listeners.is_empty() && !settings.bind.is_empty() {
            return Err(format!(
                "No address of 'bind' exists here, nothing listens on port {port}"
            ));
        }
        Ok(listeners)
    }

    /// The listener of one address, from before where there is one, and a place for it in `kept`.
    /// Whether the manager has it.
    fn bind_one(
        &self,
        bind: &Bind,
        port: u16,
        backlog: u32,
        kept: &mut Self,
        inherited: &mut Inherited,
    ) -> io::Result<(std::net::TcpListener, bool)> {
        // Numeric addresses never leave the process; names are looked up.
        let ip = bind.ip().map_or_else(|| lookup(&bind.host), Ok)?;
        let address = SocketAddr::new(ip, port);
        let (listener, is_held) = match (kept.at(address), self.at(address)) {
            (Some(_), _) => return Err(io::ErrorKind::AddrInUse.into()),
            (None, Some(open)) => (open.try_clone()?, true),
            (None, None) => match inherited.take_tcp(address, backlog) {
                Some(Listening { socket, is_held }) => (socket.into(), is_held),
                None => (open(address, backlog)?, false),
            },
        };
        kept.0.push((address, listener.try_clone()?));
        Ok((listener, is_held))
    }

    fn at(&self, address: SocketAddr) -> Option<&std::net::TcpListener> {
        self.0.iter().find(|(held, _)| *held == address).map(|(_, listener)| listener)
    }
}

/// Ends listening at once, whoever has the socket besides: its address may be bound again, and nobody
/// waits in a queue that is not looked at. That fails only where nothing listens any more.
fn close(listener: &std::net::TcpListener) {
    let _ = SockRef::from(listener).shutdown(Shutdown::Read);
}

fn open(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// The address (family) does not exist on this machine, as opposed to being taken.
fn is_missing(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [
        rustix::io::Errno::ADDRNOTAVAIL,
        rustix::io::Errno::AFNOSUPPORT,
        rustix::io::Errno::PROTONOSUPPORT,
    ]
    .iter()
    .any(|errno| code == Some(errno.raw_os_error()))
}

fn lookup(name: &str) -> io::Result<std::net::IpAddr> {
    use std::net::ToSocketAddrs;
    let mut found = (name, 0).to_socket_addrs()?;
    let first = found.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(first.ip())
}

/// The unix socket, bound, that nobody accepts on yet.
pub struct BoundUnix {
    pub(super) listener: std::os::unix::net::UnixListener,
    is_held: bool,
}

impl BoundUnix {
    /// Takes the socket that listens at `path`, or binds one, in place of a stale file of that name.
    pub fn bind(
        path: &Path,
        mode: Option<u32>,
        backlog: u32,
        inherited: &mut Inherited,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| {
            format!("Failed opening Unix socket: bind: {}: {error}", path.display())
        };
        let (socket, is_held) = match inherited.take_unix(path, backlog) {
            Some(Listening { socket, is_held }) => (socket, is_held),
            None => (open_unix(path, backlog).map_err(failed)?, false),
        };
        if let Some(mode) = mode {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, permissions).map_err(failed)?;
        }
        Ok(Self { listener: socket.into(), is_held })
    }

    /// The same socket once more, for when the manager has to be given all of them anew.
    pub fn twin(&self) -> io::Result<Self> {
        Ok(Self { listener: self.listener.try_clone()?, is_held: true })
    }

    pub fn is_held(&self) -> bool {
        self.is_held
    }
}

impl AsFd for BoundUnix {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn open_unix(path: &Path, backlog: u32) -> io::Result<Socket> {
    let _ = std::fs::remove_file(path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}
