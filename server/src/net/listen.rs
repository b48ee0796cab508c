//! Accepting: sockets become clients, or hear why not; those that speak TLS go through
//! [`tls::accept`] first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

use super::sockets::{Bound, BoundUnix, Kind};
use super::stream::{Stream, send_all};
use super::tls::{self, Tls};
use super::{Shared, connection};
use crate::engine::{Address, Slot};
use crate::{error, log, task};

/// After a failed accept (no descriptors left), before the next.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

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
        for Bound { listener, kind, .. } in bound {
            fresh.push((TcpListener::from_std(listener)?, kind));
        }
        self.tcp.drain(..).for_each(|task| task.abort());
        let accept = |(listener, kind)| match kind {
            Kind::Tcp => task::spawn(accept_tcp(listener, Arc::clone(shared))),
            Kind::Tls => {
                task::spawn(accept_tls(listener, Arc::clone(shared), Arc::clone(&self.tls)))
            }
        };
        self.tcp = fresh.into_iter().map(accept).collect();
        Ok(())
    }

    pub fn accept_unix(&mut self, bound: BoundUnix, shared: &Arc<Shared>) -> io::Result<()> {
        let listener = UnixListener::from_std(bound.listener)?;
        self.unix = Some(task::spawn(accept_unix(listener, Arc::clone(shared))));
        Ok(())
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.tcp.iter().chain(&self.unix).for_each(JoinHandle::abort);
    }
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
            Err(error) if is_closed(&error) => return,
            Err(error) => accept_failed(&error, &shared).await,
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
            Err(error) if is_closed(&error) => return,
            Err(error) => accept_failed(&error, &shared).await,
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
            Err(error) => accept_failed(&error, &shared).await,
        }
    }
}

/// A changed configuration does not want the socket, and we are about to be told.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

pub(super) async fn accept_failed(error: &io::Error, shared: &Shared) {
    log::warning!("Accepting client connection: {error}");
    shared.timers.sleep(ACCEPT_RETRY).await;
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
    S: Stream + Send + 'static,
{
    match enter(address, local, fd, shared) {
        Ok(slot) => {
            tokio::spawn(connection::serve(stream, Arc::clone(shared), slot));
        }
        Err(refusal) => {
            task::spawn(async move {
                let mut stream = stream;
                // Best effort: the client may be gone.
                let _ = send_all(&mut stream, refusal.as_bytes()).await;
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
