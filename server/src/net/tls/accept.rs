//! From an accepted socket through the handshake to a client. Peers are hostile here: nobody has
//! proved anything yet, so that their number and their time are bounded.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::Facts;
use super::stream::TlsStream;
use super::{Active, Tls};
use crate::engine::{Address, Slot};
use crate::log;
use crate::net::stream::send_all;
use crate::net::{Shared, connection, listen};
use crate::task;

/// From the first byte to the last of a handshake. A slow machine with a thousand clients at once has
/// time enough, a peer that says nothing does not keep its descriptor.
const HANDSHAKE_TIME: Duration = Duration::from_secs(30);
/// The first byte of TLS: RFC 8446, section 5.1.
const HANDSHAKE: u8 = 22;
/// For a client that is refused to take the reason.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// A socket between its acceptance and the end of its handshake.
struct Newcomer {
    address: Address,
    local: Address,
    shared: Arc<Shared>,
    tls: Arc<Tls>,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.tls.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Begins the handshake, unless clients and newcomers are as many as `maxclients`: then there is no
/// word yet that the peer would understand.
pub(in crate::net) fn welcome(
    stream: TcpStream,
    address: Address,
    local: Address,
    shared: &Arc<Shared>,
    tls: &Arc<Tls>,
) {
    let Some(active) = tls.active() else { return };
    {
        let mut engine = shared.engine();
        let taken = engine.clients.len() + tls.handshakes();
        if taken >= engine.config.settings().max_clients {
            engine.stats.rejected_connections += 1;
            return;
        }
    }
    tls.handshakes.fetch_add(1, Ordering::Relaxed);
    let (shared, tls) = (Arc::clone(shared), Arc::clone(tls));
    let newcomer = Newcomer { address, local, shared, tls };
    task::spawn(newcomer.shake_hands(stream, active));
}

impl Newcomer {
    async fn shake_hands(self, stream: TcpStream, active: Arc<Active>) {
        let fd = stream.as_raw_fd();
        let timers = &self.shared.timers;
        let shaken = timers.timeout(HANDSHAKE_TIME, handshake(stream, &active)).await;
        match shaken.unwrap_or_else(|| Err(io::Error::other("handshake takes too long"))) {
            Ok(stream) => self.admit(TlsStream::new(stream), &active, fd).await,
            // Whoever looks whether the port is open does just that.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                log::verbose!("Connection ended before its TLS handshake: {self}");
            }
            Err(error) => {
                log::warning!("Error accepting a client connection: {error} {self}");
            }
        }
    }

    async fn admit(self, mut stream: TlsStream, active: &Active, fd: i32) {
        match self.enter(&stream, active, fd) {
            Ok(slot) => {
                // Apart, because this task has room for a handshake, which a connection does not need.
                tokio::spawn(connection::serve(stream, Arc::clone(&self.shared), slot));
            }
            Err(refusal) => {
                // Best effort: the client may be gone.
                let told = send_all(&mut stream, refusal.as_bytes());
                let _ = self.shared.timers.timeout(REFUSAL_TIME, told).await;
            }
        }
    }

    fn enter(&self, stream: &TlsStream, active: &Active, fd: i32) -> Result<Slot, &'static str> {
        let (address, local) = (self.address.clone(), self.local.clone());
        let slot = listen::enter(address, local, fd, &self.shared)?;
        let facts = stream.client_certificate().and_then(|shown| Facts::read(shown).ok());
        let names = facts.map(|facts| facts.user_names(active.auth_user)).unwrap_or_default();
        if !names.is_empty() {
            self.shared.engine().identify(slot, &names);
        }
        Ok(slot)
    }
}

async fn handshake(
    stream: TcpStream,
    active: &Active,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    match (stream.peek(&mut first).await?, first) {
        (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
        (_, [HANDSHAKE]) => {}
        // An alert would be noise to a client that speaks something else.
        _ => return Err(io::Error::other("wrong version number")),
    }
    TlsAcceptor::from(Arc::clone(&active.config)).accept(stream).await
}

/// As Valkey's log tells of a connection.
impl std::fmt::Display for Newcomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(addr={} laddr={})", self.address, self.local)
    }
}
