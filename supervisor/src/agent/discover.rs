//! Where a process listens, read from the kernel: the answer holds whatever its configuration says.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::{fs, io};

use holdfast_supervisor::paths;

use crate::ping::Endpoint;

/// Listening sockets are among a server's first descriptors; its clients may hold thousands.
const MAX_DESCRIPTORS: usize = 4096;
/// `TCP_LISTEN` of the kernel's tcp_states.h, as /proc/net/tcp prints it.
const TCP_LISTEN: &str = "0A";
/// `__SO_ACCEPTCON` of a listening unix socket in /proc/net/unix.
const ACCEPTS: u32 = 0x1_0000;

/// Whose listeners count.
enum Own {
    Sockets(HashSet<u64>),
    /// Its descriptors cannot be read: it is another user's, or in another sandbox. Nobody listens as
    /// that user but it, and maybe we.
    OfUser {
        user: u32,
        except: HashSet<u64>,
    },
}

impl Own {
    fn of(pid: u32) -> Self {
        match socket_inodes(pid) {
            Ok(inodes) => Self::Sockets(inodes),
            // Where the network is shared, that user's listeners may be another container's: with an
            // admin socket to ask there is no need to guess.
            Err(_) if std::env::var_os(paths::ADMIN_ENV).is_some() => Self::Sockets(HashSet::new()),
            Err(_) => {
                let owner = fs::metadata(format!("/proc/{pid}")).map(|process| process.uid());
                let except = socket_inodes(std::process::id()).unwrap_or_default();
                owner.map_or(Self::Sockets(HashSet::new()), |user| Self::OfUser { user, except })
            }
        }
    }

    fn has(&self, inode: u64, user: Option<u32>) -> bool {
        match self {
            Self::Sockets(inodes) => inodes.contains(&inode),
            Self::OfUser { user: owner, except } => {
                user == Some(*owner) && !except.contains(&inode)
            }
        }
    }
}

/// Where init has the server answer those who look after it: before all others, as it is open when
/// they are not.
pub(crate) fn admin_sockets() -> impl Iterator<Item = Endpoint> {
    let told = std::env::var_os(paths::ADMIN_ENV).map(PathBuf::from);
    let usual = paths::ADMIN_SOCKETS.map(PathBuf::from);
    let places = told.map_or_else(|| usual.to_vec(), |told| vec![told]);
    places.into_iter().filter(|path| path.exists()).map(Endpoint::Unix)
}

/// Unix sockets first: they need no free port and no address.
pub(crate) fn endpoints(pid: u32) -> Vec<Endpoint> {
    let own = Own::of(pid);
    let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    let mut found: Vec<Endpoint> = Vec::new();
    found.extend(unix_listeners(&table("unix").unwrap_or_default(), &own));
    for name in ["tcp", "tcp6"] {
        found.extend(tcp_listeners(&table(name).unwrap_or_default(), &own));
    }
    found
}

/// The process that runs the server's program, for when nobody can be asked.
pub(crate) fn server_pid() -> Option<u32> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let program = fs::read_link(format!("/proc/{pid}/exe"));
        program.is_ok_and(|program| program.as_os_str() == paths::SERVER)
    })
}

/// An error when not one descriptor may be looked at: even standard input is one.
fn socket_inodes(pid: u32) -> io::Result<HashSet<u64>> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let mut links = descriptors.flatten().take(MAX_DESCRIPTORS).map(|fd| fs::read_link(fd.path()));
    let first = links.find(Result::is_ok).ok_or(io::ErrorKind::PermissionDenied)?;
    let links = first.into_iter().chain(links.flatten());
    Ok(links.filter_map(|link| inode_of(link.to_str()?)).collect())
}

fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Columns: slot, local address, remote address, state, …, user (the eighth), …, inode (the tenth).
fn tcp_listeners(table: &str, own: &Own) -> Vec<Endpoint> {
    let listeners = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let local = columns.next()?;
        let state = columns.nth(1)?;
        let user = columns.nth(3)?.parse().ok();
        let inode = columns.nth(1)?.parse().ok()?;
        let ours = state == TCP_LISTEN && own.has(inode, user);
        ours.then(|| parse_address(local).map(Endpoint::Tcp))?
    });
    listeners.collect()
}

/// `0100007F:18EB`: the address in 32-bit words of the machine's own order, the port in plain hex.
fn parse_address(local: &str) -> Option<SocketAddr> {
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (at, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::from(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(reachable(address), port))
}

/// What listens on every address is asked on loopback.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Columns: address, references, protocol, flags, type, state, inode, path.
fn unix_listeners(table: &str, own: &Own) -> Vec<Endpoint> {
    let listeners = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(3);
        let flags = u32::from_str_radix(columns.next()?, 16).ok()?;
        let inode = columns.nth(2)?.parse().ok()?;
        let path = columns.next().filter(|path| path.starts_with('/'))?;
        (flags & ACCEPTS != 0 && own.has(inode, owner(path)))
            .then(|| Endpoint::Unix(PathBuf::from(path)))
    });
    listeners.collect()
}

/// The table of unix sockets does not say whose they are; their files do.
fn owner(path: &str) -> Option<u32> {
    fs::metadata(path).ok().map(|socket| socket.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 41
   1: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 42
   2: 0100007F:18EB 0100007F:D431 01 00000000:00000000 00:00000000 00000000   999        0 43
   3: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 44
";

    #[test]
    fn only_the_process_own_listeners_are_found() {
        let own = Own::Sockets(HashSet::from([41, 42, 43]));
        let found: Vec<String> = tcp_listeners(TCP, &own).iter().map(Endpoint::to_string).collect();
        assert_eq!(found, ["127.0.0.1:6379", "127.0.0.1:7000"]);
    }

    #[test]
    fn where_descriptors_cannot_be_read_the_user_s_listeners_count() {
        let of = |user, except| tcp_listeners(TCP, &Own::OfUser { user, except });
        let local = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        assert_eq!(of(999, HashSet::new()), [local(6379), local(7000)]);
        assert_eq!(of(999, HashSet::from([42])), [local(6379)]);
        assert_eq!(of(0, HashSet::new()), [local(22)]);
    }

    #[test]
    fn a_listening_unix_socket_has_a_flag_and_a_path() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
             0: 00000002 00000000 00010000 0001 01 51 /run/redis.sock\n\
             0: 00000002 00000000 00000000 0001 03 52 /run/redis.sock\n\
             0: 00000002 00000000 00010000 0001 01 53 @abstract\n";
        let own = Own::Sockets(HashSet::from([51, 52, 53]));
        assert_eq!(unix_listeners(table, &own), [Endpoint::Unix("/run/redis.sock".into())]);
    }

    #[test]
    fn this_very_process_is_seen_listening() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        assert!(endpoints(std::process::id()).contains(&Endpoint::Tcp(address)));
    }
}
