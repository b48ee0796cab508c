//! The admin socket: where whoever runs the server is let in without a password, whatever `bind`,
//! `protected-mode` and `maxclients` say. The kernel tells who asks. Not for clients.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{UnixListener, UnixStream};

use super::listen::accept_failed;
use super::{Shared, connection};
use crate::engine::Address;
use crate::{log, task};

/// The owner and his group may connect; who else may is decided by user.
const MODE: u32 = 0o660;
/// The user of our supervisor's agent (`holdfast` in the image's /etc/passwd).
const AGENT_UID: u32 = 998;
/// Connections at once. A probe, a backup and a reload are three; more would be a mistake.
const MAX_CONNECTIONS: usize = 16;

/// Accepts at `path`, in place of what is there, for as long as the process lives.
pub fn listen(path: &Path, shared: &Arc<Shared>) {
    match bind(path) {
        Ok(listener) => {
            task::spawn(accept(listener, path.to_string_lossy().into(), Arc::clone(shared)));
        }
        // The server serves without; its supervisor finds other ways in.
        Err(error) => log::warning!("No admin socket at {}: {error}", path.display()),
    }
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, path: Arc<str>, shared: Arc<Shared>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => admit(stream, &path, &open, &shared),
            Ok(_) => log::warning!("A stranger at the admin socket was turned away."),
            Err(error) => accept_failed(&error, &shared).await,
        }
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [0, own, AGENT_UID].contains(&peer.uid()))
}

fn admit(stream: UnixStream, path: &Arc<str>, open: &Arc<AtomicUsize>, shared: &Arc<Shared>) {
    // One task counts up; others only count down.
    if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
        open.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let address = Address::Unix(Arc::clone(path));
    let slot = shared.engine().connect_admin(address, stream.as_raw_fd(), shared.clock.now());
    let (shared, open) = (Arc::clone(shared), Arc::clone(open));
    task::spawn(async move {
        connection::serve(stream, shared, slot).await;
        open.fetch_sub(1, Ordering::Relaxed);
    });
}
