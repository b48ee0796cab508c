//! Being a service: in the background by itself (`daemonize`), or under systemd's eyes
//! (`supervised`), whose protocol init speaks too.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::LazyLock;

use super::sys;
use crate::config::settings::Supervised;
use crate::log;

/// Where systemd, or init, wants to hear from us.
static NOTIFY_SOCKET: LazyLock<Option<SocketAddr>> =
    LazyLock::new(|| address(&std::env::var_os("NOTIFY_SOCKET")?).ok());

/// True when there is a supervisor that listens.
pub fn has_notify_socket() -> bool {
    NOTIFY_SOCKET.is_some()
}

/// Whether the server answers to a supervisor, as `supervised` asks for.
pub fn is_supervised(wanted: Supervised) -> bool {
    match wanted {
        Supervised::No => false,
        Supervised::Auto => has_notify_socket(),
        Supervised::Systemd => {
            if !has_notify_socket() {
                log::warning!("systemd supervision requested, but NOTIFY_SOCKET not found!");
            }
            has_notify_socket()
        }
        Supervised::Upstart => {
            log::warning!("upstart supervision requested, which Holdfast does not speak.");
            false
        }
    }
}

/// Tells the supervisor, in the words of `sd_notify`: `READY=1`.
pub fn notify(state: &str) {
    let Some(address) = &*NOTIFY_SOCKET else { return };
    let send = || UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), address);
    if let Err(error) = send() {
        log::warning!("Cannot notify the supervisor: {error}");
    }
}

/// A path, or `@name` in the abstract namespace.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(socket),
    }
}

/// Goes on in the background: a new session, nothing on the standard streams. Returns in the
/// child; the parent ends. To be called before the runtime has threads.
pub fn to_background() -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    if sys::fork()? {
        std::process::exit(0);
    }
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
