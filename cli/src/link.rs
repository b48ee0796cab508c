//! A connection: one blocking socket, commands out, replies in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::sockopt;

use crate::options::Options;
use crate::reply::{Failure, Reader, Reply};

/// After this long without a word the system asks whether the other end is still there, so that
/// whoever forgets idle connections keeps those that wait for a long command.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(crate) struct Link {
    /// Of whatever kind of socket.
    socket: File,
    pub(crate) replies: Reader,
}

impl Link {
    /// Why not, in the system's words.
    pub(crate) fn open(options: &Options) -> Result<Self, String> {
        let socket = match &options.socket {
            Some(path) => UnixStream::connect(OsStr::from_bytes(path)).map(OwnedFd::from),
            None => tcp(options).map(OwnedFd::from),
        };
        let link = socket.and_then(|socket| {
            let socket = File::from(socket);
            let mut reading = socket.try_clone()?;
            let replies = Reader::new(Box::new(move |into| reading.read(into)));
            Ok(Self { socket, replies })
        });
        link.map_err(|error| reason(&error))
    }

    pub(crate) fn send(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        self.socket.write_all(&request(words))
    }

    /// Sends a command and waits for its reply, or for the push message before it.
    pub(crate) fn ask(&mut self, words: &[Vec<u8>]) -> Result<Reply, Failure> {
        self.send(words).map_err(Failure::Io)?;
        self.replies.reply()
    }

    /// The same socket once more.
    pub(crate) fn socket(&self) -> io::Result<File> {
        self.socket.try_clone()
    }

    /// Reads give up after this long, with [`io::ErrorKind::WouldBlock`].
    pub(crate) fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        Ok(sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Recv, Some(limit))?)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The first of the host's addresses that answers, those of the preferred version of IP first.
fn tcp(options: &Options) -> io::Result<TcpStream> {
    let host = std::str::from_utf8(&options.host).map_err(io::Error::other)?;
    let addresses: Vec<SocketAddr> = (host, options.port).to_socket_addrs()?.collect();
    let preferred = |address: &&SocketAddr| address.is_ipv6() == options.prefers_ipv6;
    let others = addresses.iter().filter(|address| !preferred(address));
    let mut last = io::Error::other("no address");
    for address in addresses.iter().filter(preferred).chain(others) {
        let connected = match options.connect_timeout {
            Some(limit) => TcpStream::connect_timeout(address, limit),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => return keep_alive(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn keep_alive(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    Ok(stream)
}

/// An array of strings.
fn request(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, b'*', words.len());
    for word in words {
        header(&mut out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend(b"\r\n");
    }
    out
}

fn header(out: &mut Vec<u8>, sign: u8, count: usize) {
    out.push(sign);
    out.extend(count.to_string().as_bytes());
    out.extend(b"\r\n");
}

/// What C's `strerror` says, without what Rust adds.
pub(crate) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "Connection timed out".to_owned();
    }
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split_once(" (os error").map_or(text, |(text, _)| text).to_owned()
}
