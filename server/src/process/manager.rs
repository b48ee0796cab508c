//! Who started us and watches us: systemd or init, in the words of sd_notify(3) and
//! sd_listen_fds(3). Its variables are read once, before the process has threads, and taken away:
//! they mean nothing to anybody else.

use std::ffi::OsString;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with, sockopt,
};

use super::sys;
use crate::config::settings::Supervised;
use crate::log;

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";
const LISTEN_FDS: &str = "LISTEN_FDS";
const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
/// Where our own init wants to be let in, whatever the configuration says.
const ADMIN: &str = "HOLDFAST_ADMIN";
const VARIABLES: [&str; 7] =
    [NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, ADMIN];

/// Under this name the manager keeps our listening sockets.
pub const HELD_NAME: &str = "listen";
/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST_DESCRIPTOR: i32 = 3;
/// Most descriptors taken over: `bind` has 16 addresses, with and without TLS, and there may be some
/// that nobody wants any more.
const MAX_DESCRIPTORS: usize = 64;
/// How long a message waits for a manager that does not read.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);
/// The shortest watchdog that is kept; below, beating would be all we do.
const MIN_WATCHDOG: Duration = Duration::from_millis(20);

/// What the environment says.
#[derive(Debug, Default)]
pub struct Manager {
    notify: Option<SocketAddrUnix>,
    /// It ends us when it has not heard of us for so long.
    pub watchdog: Option<Duration>,
    /// Where it wants to be let in. Only our own init does.
    pub admin: Option<PathBuf>,
}

/// A descriptor that was handed over, and the name it has with the manager.
#[derive(Debug)]
pub struct Handed {
    pub descriptor: OwnedFd,
    /// It is one of those that we gave to be kept.
    pub is_held: bool,
}

static MANAGER: OnceLock<Manager> = OnceLock::new();

/// The manager there is. Without one, or before [`take_over`], nobody listens.
pub fn manager() -> &'static Manager {
    static NOBODY: Manager = Manager { notify: None, watchdog: None, admin: None };
    MANAGER.get().unwrap_or(&NOBODY)
}

/// Reads the environment and takes what was handed over. To be called once, first of all: later a
/// descriptor of that number could be our own.
pub fn take_over() -> Vec<Handed> {
    let values = sys::take_variables(&VARIABLES);
    let variables = Variables(VARIABLES.into_iter().zip(values).collect());
    let pid = std::process::id();
    let handed = variables.handed_over(pid).into_iter().filter_map(|(number, is_held)| {
        let descriptor = sys::take_descriptor(number)?;
        Some(Handed { descriptor, is_held })
    });
    let handed = handed.collect();
    let _ = MANAGER.set(variables.manager(pid));
    handed
}

struct Variables(Vec<(&'static str, Option<OsString>)>);

impl Variables {
    fn value(&self, name: &str) -> Option<&OsString> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        value.as_ref().filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.to_str()?.parse().ok()
    }

    fn manager(&self, pid: u32) -> Manager {
        // A process that we are a child of may be the one that is meant.
        let is_for_us =
            self.value(WATCHDOG_PID).is_none() || self.number(WATCHDOG_PID) == Some(u64::from(pid));
        let watchdog = self.number(WATCHDOG_USEC).filter(|us| is_for_us && *us > 0);
        Manager {
            notify: self.value(NOTIFY_SOCKET).and_then(|name| address(name.as_bytes())),
            watchdog: watchdog.map(|us| Duration::from_micros(us).max(MIN_WATCHDOG)),
            admin: self.value(ADMIN).map(PathBuf::from).filter(|path| path.is_absolute()),
        }
    }

    /// The numbers of the descriptors meant for us, and whether we had given them to be kept.
    fn handed_over(&self, pid: u32) -> Vec<(i32, bool)> {
        if self.number(LISTEN_PID) != Some(u64::from(pid)) {
            return Vec::new();
        }
        let count = self.number(LISTEN_FDS).map_or(0, |count| count as usize).min(MAX_DESCRIPTORS);
        let names = self.value(LISTEN_FDNAMES).and_then(|names| names.to_str()).unwrap_or("");
        let mut names = names.split(':');
        let held = std::iter::repeat_with(|| names.next() == Some(HELD_NAME));
        (FIRST_DESCRIPTOR..).zip(held).take(count).collect()
    }
}

/// A path, or `@name` in the abstract namespace.
fn address(socket: &[u8]) -> Option<SocketAddrUnix> {
    match socket {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name).ok(),
        [b'/', ..] => SocketAddrUnix::new(socket).ok(),
        _ => None,
    }
}

impl Manager {
    /// It wants to hear from whom it starts.
    pub fn has_socket(&self) -> bool {
        self.notify.is_some()
    }

    /// Whether the server answers to it: as `supervised` says, and to our own init in any case.
    pub fn is_served(&self, wanted: Supervised) -> bool {
        let is_own = self.admin.is_some();
        match wanted {
            Supervised::Systemd if !self.has_socket() => {
                log::warning!("systemd supervision requested, but NOTIFY_SOCKET not found!");
                false
            }
            Supervised::Upstart if !is_own => {
                log::warning!("upstart supervision requested, which Holdfast does not speak.");
                false
            }
            Supervised::No | Supervised::Upstart => is_own && self.has_socket(),
            Supervised::Auto | Supervised::Systemd => self.has_socket(),
        }
    }

    /// Tells it, in the words of `sd_notify`: `READY=1`.
    pub fn tell(&self, state: &str) {
        self.say(state, &[], SendFlags::empty());
    }

    /// The same, unless that would have to wait: for what is said again soon.
    pub fn tell_now(&self, state: &str) {
        self.say(state, &[], SendFlags::DONTWAIT);
    }

    /// Gives it listening sockets to keep for our next run.
    pub fn hold<'a>(&self, sockets: impl Iterator<Item = BorrowedFd<'a>>) {
        for socket in sockets {
            let state = format!("FDSTORE=1\nFDNAME={HELD_NAME}\n");
            self.say(&state, &[socket], SendFlags::empty());
        }
    }

    /// Has it forget all of them.
    pub fn release(&self) {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={HELD_NAME}\n"));
    }

    fn say(&self, state: &str, descriptors: &[BorrowedFd<'_>], flags: SendFlags) {
        let Some(address) = &self.notify else { return };
        match send(address, state, descriptors, flags) {
            Ok(()) => {}
            Err(Errno::AGAIN) if flags.contains(SendFlags::DONTWAIT) => {}
            Err(error) => log::warning!("Cannot notify the supervisor: {error}"),
        }
    }
}

/// A socket for each message, as sd_notify(3) has it: the manager may have been replaced.
fn send(
    address: &SocketAddrUnix,
    state: &str,
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(SEND_TIMEOUT))?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG);
    }
    let text = [IoSlice::new(state.as_bytes())];
    sendmsg_addr(&socket, address, &text, &mut control, flags | SendFlags::NOSIGNAL).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&'static str, &str)]) -> Variables {
        Variables(pairs.iter().map(|(name, value)| (*name, Some(value.into()))).collect())
    }

    #[test]
    fn descriptors_are_taken_only_by_the_process_they_are_meant_for() {
        let handed = |pairs: &[_]| variables(pairs).handed_over(42);
        let named = (LISTEN_FDNAMES, "listen:redis:listen");
        let ours = (LISTEN_PID, "42");
        assert_eq!(
            handed(&[ours, (LISTEN_FDS, "4"), named]),
            [(3, true), (4, false), (5, true), (6, false)]
        );
        assert_eq!(handed(&[ours, (LISTEN_FDS, "1")]), [(3, false)]);
        let nothing: [(i32, bool); 0] = [];
        for hostile in ["", "-1", "0", "x", "1 ", "99999999999999999999999"] {
            assert_eq!(handed(&[ours, (LISTEN_FDS, hostile), named]), nothing, "{hostile:?}");
        }
        assert_eq!(handed(&[ours, (LISTEN_FDS, "18446744073709551615")]).len(), MAX_DESCRIPTORS);
        for other in ["", "41", "042x", "-42", "4294967338"] {
            assert_eq!(handed(&[(LISTEN_PID, other), (LISTEN_FDS, "1")]), nothing, "{other:?}");
        }
        assert_eq!(handed(&[(LISTEN_FDS, "1")]), nothing);
    }

    #[test]
    fn a_watchdog_is_kept_when_it_is_ours_and_can_be() {
        let watchdog = |pairs: &[_]| variables(pairs).manager(42).watchdog;
        let second = (WATCHDOG_USEC, "1000000");
        assert_eq!(watchdog(&[second]), Some(Duration::from_secs(1)));
        assert_eq!(watchdog(&[second, (WATCHDOG_PID, "42")]), Some(Duration::from_secs(1)));
        assert_eq!(watchdog(&[second, (WATCHDOG_PID, "43")]), None);
        assert_eq!(watchdog(&[second, (WATCHDOG_PID, "x")]), None);
        assert_eq!(watchdog(&[(WATCHDOG_USEC, "1")]), Some(MIN_WATCHDOG));
        for none in ["", "0", "-5", "x"] {
            assert_eq!(watchdog(&[(WATCHDOG_USEC, none)]), None, "{none:?}");
        }
    }

    #[test]
    fn only_addresses_of_unix_sockets_are_listened_to() {
        let has_socket = |name: &str| variables(&[(NOTIFY_SOCKET, name)]).manager(1).has_socket();
        assert!(has_socket("/run/systemd/notify"));
        assert!(has_socket("@holdfast"));
        let long = "/".repeat(200);
        for bad in ["", "run/notify", "vsock:2:1234", &long] {
            assert!(!has_socket(bad), "{bad:?}");
        }
    }

    #[test]
    fn our_own_init_hears_of_us_whatever_supervised_says() {
        let socket = (NOTIFY_SOCKET, "@holdfast");
        let own = variables(&[socket, (ADMIN, "/run/holdfast/server.sock")]).manager(1);
        let systemd = variables(&[socket]).manager(1);
        let nobody = variables(&[]).manager(1);
        use Supervised::{Auto, No, Systemd, Upstart};
        let served = |manager: &Manager| [No, Upstart, Auto, Systemd].map(|w| manager.is_served(w));
        assert_eq!(served(&own), [true; 4]);
        assert_eq!(served(&systemd), [false, false, true, true]);
        assert_eq!(served(&nobody), [false; 4]);
        let relative = variables(&[(ADMIN, "server.sock")]).manager(1);
        assert_eq!(relative.admin, None);
    }
}
