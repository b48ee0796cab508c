//! Who may ask: the kernel's word, not the socket file's mode alone.

use std::io;

use tokio::net::UnixStream;
use tokio::net::unix::UCred;

/// Root, the agent's own user, and its group.
pub(crate) fn may_ask(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?;
    let own_user = rustix::process::geteuid().as_raw();
    let own_group = rustix::process::getegid().as_raw();
    Ok(is_allowed(&peer, own_user, own_group))
}

fn is_allowed(peer: &UCred, own_user: u32, own_group: u32) -> bool {
    let (user, group) = (peer.uid(), peer.gid());
    user == 0 || user == own_user || group == own_group
}
