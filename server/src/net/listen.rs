//! Listeners: TCP on every `bind` address, and the unix socket. Accepted sockets become clients, or
//! hear why not.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

use super::{Shared, connection};
use crate::config::Settings;
use crate::config::settings::Bind;
use crate::engine::{Address, Slot};
use crate::error;

/// After a failed accept (no descriptors left), before the next.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Open listeners; dropping them closes the sockets, connections go on.
#[derive(Default)]
pub struct Listeners {
    tcp: Vec<JoinHandle<()>>,
    unix: Option<JoinHandle<()>>,
}

/// A bound socket that does not accept yet.
pub struct Bound(std::net::TcpListener);

impl Listeners {
    /// Accepts on `bound` in place of what was accepted on before.
    pub fn replace_tcp(&mut self, bound: Vec<Bound>, shared: &Arc<Shared>) -> io::Result<()> {
        let mut fresh = Vec::new();
        for Bound(listener) in bound {
            fresh.push(TcpListener::from_std(listener)?);
        }
        self.tcp.drain(..).for_each(|task| task.abort());
        let accept = |listener| tokio::spawn(accept_tcp(listener, Arc::clone(shared)));
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

/// Binds every address of `bind` at `port`; none at port 0. An address with `-` in front may be
/// missing on this machine.
pub fn bind_tcp(settings: &Settings) -> Result<Vec<Bound>, String> {
    if settings.port == 0 {
        return Ok(Vec::new());
    }
    let mut bound = Vec::new();
    for address in &settings.bind {
        match bind_one(address, settings.port, settings.tcp_backlog) {
            Ok(listener) => bound.push(Bound(listener)),
            Err(error) if address.optional && is_missing(&error) => {}
            Err(error) => {
                return Err(format!(
                    "Could not create server TCP listening socket {}:{}: bind: {error}",
                    address.host, settings.port
                ));
            }
        }
    }
    if bound.is_empty() {
        return Err(format!(
            "No address of 'bind' exists here, nothing listens on port {}",
            settings.port
        ));
    }
    Ok(bound)
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

fn bind_one(bind: &Bind, port: u16, backlog: u32) -> io::Result<std::net::TcpListener> {
    // Numeric addresses never leave the process; names are looked up.
    let ip = bind.ip().map_or_else(|| lookup(&bind.host), Ok)?;
    let address = std::net::SocketAddr::new(ip, port);
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
            Ok((stream, peer)) => welcome_tcp(stream, peer, &shared),
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
    crate::log::warning!("Accepting client connection: {error}");
    tokio::time::sleep(ACCEPT_RETRY).await;
}

fn welcome_tcp(stream: TcpStream, peer: std::net::SocketAddr, shared: &Arc<Shared>) {
    // These fail only on a socket that is gone already; its first read says so.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let idle = shared.engine().config.settings().tcp_keepalive;
    if !idle.is_zero() {
        let probe = (idle / 3).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(probe).with_retries(3);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    }
    let fd = stream.as_raw_fd();
    admit(stream, Address::Tcp(peer), Address::Tcp(local), fd, shared);
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

fn enter(address: Address, local: Address, fd: i32, shared: &Shared) -> Result<Slot, &'static str> {
    let mut engine = shared.engine();
    let settings = engine.config.settings();
    let open = settings.protected_mode && settings.require_pass.is_empty();
    if open && !address.is_loopback() {
        engine.stats.rejected_connections += 1;
        return Err(error::PROTECTED_MODE);
    }
    crate::log::verbose!("Accepted {address}");
    engine.connect(address, local, fd, shared.clock.now()).ok_or(error::MAX_CLIENTS)
}
