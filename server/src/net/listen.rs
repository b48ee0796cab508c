//! Listeners: TCP and TLS on every `bind` address, and the unix socket. Accepted sockets become
//! clients, or hear why not; those that speak TLS go through [`tls::accept`] first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

use super::tls::{self, Tls};
use super::{Shared, connection};
use crate::config::Settings;
use crate::config::settings::Bind;
use crate::engine::{Address, Slot};
use crate::{error, log};

/// After a failed accept (no descriptors left), before the next.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

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
    listener: std::net::TcpListener,
    kind: Kind,
}

/// The listening TCP sockets by their address. One that a changed configuration still wants is kept,
/// with whoever waits in its queue.
#[derive(Default)]
pub struct Sockets(Vec<(SocketAddr, std::net::TcpListener)>);

impl Sockets {
    /// A listener on every address of `bind` at `port` and at `tls-port`; none for a port 0. An
    /// address with `-` in front may be missing on this machine. Nothing changes on an error.
    pub fn bind(&mut self, settings: &Settings) -> Result<Vec<Bound>, String> {
        let (mut bound, mut kept) = (Vec::new(), Self::default());
        for (port, kind) in [(settings.port, Kind::Tcp), (settings.tls.port, Kind::Tls)] {
            if port == 0 {
                continue;
            }
            let listeners = self.bind_port(settings, port, &mut kept).inspect_err(|reason| {
                log::warning!("Warning: {reason}");
                log::warning!("Failed listening on port {port} ({}), aborting.", kind.name());
            })?;
            bound.extend(listeners.into_iter().map(|listener| Bound { listener, kind }));
        }
        *self = kept;
        Ok(bound)
    }

    fn bind_port(
        &self,
        settings: &Settings,
        port: u16,
        kept: &mut Self,
    ) -> Result<Vec<std::net::TcpListener>, String> {
        let mut listeners = Vec::new();
        for bind in &settings.bind {
            match self.bind_one(bind, port, settings.tcp_backlog, kept) {
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
        if listeners.is_empty() {
            return Err(format!(
                "No address of 'bind' exists here, nothing listens on port {port}"
            ));
        }
        Ok(listeners)
    }

    /// The listener of one address, from before where there is one, and a place for it in `kept`.
    fn bind_one(
        &self,
        bind: &Bind,
        port: u16,
        backlog: u32,
        kept: &mut Self,
    ) -> io::Result<std::net::TcpListener> {
        // Numeric addresses never leave the process; names are looked up.
        let ip = bind.ip().map_or_else(|| lookup(&bind.host), Ok)?;
        let address = SocketAddr::new(ip, port);
        let listener = match (kept.at(address), self.at(address)) {
            (Some(_), _) => return Err(io::ErrorKind::AddrInUse.into()),
            (None, Some(held)) => held.try_clone()?,
            (None, None) => open(address, backlog)?,
        };
        kept.0.push((address, listener.try_clone()?));
        Ok(listener)
    }

    fn at(&self, address: SocketAddr) -> Option<&std::net::TcpListener> {
        self.0.iter().find(|(held, _)| *held == address).map(|(_, listener)| listener)
    }
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

/// Tasks that accept; dropping them ends that, connections go on.
pub struct Listeners {
    tls: Arc<Tls>,
    tcp: Vec<JoinHandle<()>>,
    unix: Option<JoinHandle<()>>,
}

impl Listeners {
    pub fn new(tls: Arc<Tls>) -> Self {
        Self { tls, tcp: Vec::new(), unix: None }
    }

    /// Accepts on `bound` in place of what was accepted on before.
    pub fn replace_tcp(&mut self, bound: Vec<Bound>, shared: &Arc<Shared>) -> io::Result<()> {
        let mut fresh = Vec::new();
        for Bound { listener, kind } in bound {
            fresh.push((TcpListener::from_std(listener)?, kind));
        }
        self.tcp.drain(..).for_each(|task| task.abort());
        let accept = |(listener, kind)| match kind {
            Kind::Tcp => tokio::spawn(accept_tcp(listener, Arc::clone(shared))),
            Kind::Tls => {
                tokio::spawn(accept_tls(listener, Arc::clone(shared), Arc::clone(&self.tls)))
            }
        };
        self.tcp = fresh.into_iter().map(accept).collect();
        Ok(())
    }

    pub fn accept_unix(&mut self, listener: UnixListener, shared: &Arc<Shared>) {
        self.unix = Some(tokio::spawn(accept_unix(listener, Arc::clone(shared))));
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.tcp.iter().chain(&self.unix).for_each(JoinHandle::abort);
    }
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

/// Binds the unix socket, in place of a stale file of the same name.
pub fn bind_unix(path: &Path, mode: Option<u32>) -> Result<UnixListener, String> {
    let failed =
        |error: io::Error| format!("Failed opening Unix socket: bind: {}: {error}", path.display());
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    if let Some(mode) = mode {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).map_err(failed)?;
    }
    Ok(listener)
}

async fn accept_tcp(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some((address, local)) = prepare(&stream, peer, &shared) {
                    let fd = stream.as_raw_fd();
                    admit(stream, address, local, fd, &shared);
                }
            }
            Err(error) => accept_failed(&error).await,
        }
    }
}

async fn accept_tls(listener: TcpListener, shared: Arc<Shared>, tls: Arc<Tls>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some((address, local)) = prepare(&stream, peer, &shared) {
                    tls::accept::welcome(stream, address, local, &shared, &tls);
                }
            }
            Err(error) => accept_failed(&error).await,
        }
    }
}

async fn accept_unix(listener: UnixListener, shared: Arc<Shared>) {
    let path: Arc<str> = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(|path| path.to_string_lossy().into()))
        .unwrap_or_else(|| "unix".into());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let address = Address::Unix(Arc::clone(&path));
                let fd = stream.as_raw_fd();
                admit(stream, address.clone(), address, fd, &shared);
            }
            Err(error) => accept_failed(&error).await,
        }
    }
}

async fn accept_failed(error: &io::Error) {
    log::warning!("Accepting client connection: {error}");
    tokio::time::sleep(ACCEPT_RETRY).await;
}

/// Sets an accepted socket's options; its ends, if it is still there.
fn prepare(stream: &TcpStream, peer: SocketAddr, shared: &Shared) -> Option<(Address, Address)> {
    // These fail only on a socket that is gone already; its first read says so.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok()?;
    let idle = shared.engine().config.settings().tcp_keepalive;
    if !idle.is_zero() {
        let probe = (idle / 3).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(probe).with_retries(3);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
    Some((Address::Tcp(peer), Address::Tcp(local)))
}

/// Makes a client of an accepted socket, or says why not and closes it.
fn admit<S>(stream: S, address: Address, local: Address, fd: i32, shared: &Arc<Shared>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    match enter(address, local, fd, shared) {
        Ok(slot) => {
            tokio::spawn(connection::serve(stream, Arc::clone(shared), slot));
        }
        Err(refusal) => {
            tokio::spawn(async move {
                let mut stream = stream;
                // Best effort: the client may be gone.
                let _ = stream.write_all(refusal.as_bytes()).await;
            });
        }
    }
}

/// A place among the clients, or why there is none.
pub(super) fn enter(
    address: Address,
    local: Address,
    fd: i32,
    shared: &Shared,
) -> Result<Slot, &'static str> {
    let mut engine = shared.engine();
    let settings = engine.config.settings();
    let open = settings.protected_mode && settings.require_pass.is_empty();
    if open && !address.is_loopback() {
        engine.stats.rejected_connections += 1;
        return Err(error::PROTECTED_MODE);
    }
    log::verbose!("Accepted {address}");
    engine.connect(address, local, fd, shared.clock.now()).ok_or(error::MAX_CLIENTS)
}
