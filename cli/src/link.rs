//! A connection: one blocking socket, as it is or within TLS; commands out, replies in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;

use crate::options::Options;
use crate::password;
use crate::reply::{Failure, Reader, Reply};
use crate::tls::{TlsFailure, TlsSession};

/// After this long without a word the system asks whether the other end is still there, so that
/// whoever forgets idle connections keeps those that wait for a long command.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// In the system's words, or those of TLS.
    Unreachable(String),
    /// What the options of TLS ask for cannot be had.
    Options(&'static str),
}

/// What is read and written. Clones are the same connection.
#[derive(Clone)]
pub(crate) struct Socket {
    /// Of whatever kind of socket.
    file: Arc<File>,
    tls: Option<Arc<dyn TlsSession>>,
}

pub(crate) struct Link {
    socket: Socket,
    pub(crate) replies: Reader,
}

impl Link {
    pub(crate) fn open(options: &Options) -> Result<Self, Unopened> {
        let unreachable = |error: io::Error| Unopened::Unreachable(reason(&error));
        let socket = match &options.socket {
            Some(path) => UnixStream::connect(OsStr::from_bytes(path)).map(OwnedFd::from),
            None => tcp(options).map(OwnedFd::from),
        };
        let file = File::from(socket.map_err(unreachable)?);
        let tls = match options.tls.is_on {
            true => Some(secured(&file, options)?),
            false => None,
        };
        let socket = Socket { file: Arc::new(file), tls };
        let mut reading = socket.clone();
        let replies = Reader::new(Box::new(move |into| reading.read(into)));
        Ok(Self { socket, replies })
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
    pub(crate) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Reads give up after this long, with [`io::ErrorKind::WouldBlock`].
    pub(crate) fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        limit_reads(&self.socket.file, Some(limit))
    }

    /// Whether something of the next reply is here, so that the descriptor does not tell of it.
    pub(crate) fn has_more(&self) -> bool {
        self.replies.has_more() || self.socket.tls.as_ref().is_some_and(|tls| tls.has_more())
    }

    /// Whether something of the next reply has come, now that the descriptor is readable: within TLS
    /// that may be about the session itself.
    pub(crate) fn has_arrived(&self) -> bool {
        self.socket.tls.as_ref().is_none_or(|tls| {
            tls.take_in();
            tls.has_more()
        })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.file.as_fd()
    }
}

impl io::Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.read(into),
            None => (&*self.file).read(into),
        }
    }
}

impl io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.write(bytes).map(|()| bytes.len()),
            None => (&*self.file).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The session of TLS; its handshake, too, is to be over by the end of `-t`.
fn secured(socket: &File, options: &Options) -> Result<Arc<dyn TlsSession>, Unopened> {
    let unreachable = |error: io::Error| {
        Unopened::Unreachable(["SSL_connect failed: ", &reason(&error)].concat())
    };
    let ask = || password::ask_at_terminal("Enter PEM pass phrase:");
    limit_reads(socket, options.connect_timeout).map_err(unreachable)?;
    let start = options.name.about.tls;
    let session = socket.try_clone().map_err(TlsFailure::Handshake);
    let session = session.and_then(|socket| start(&options.tls, socket, &ask));
    let session = session.map_err(|failure| match failure {
        TlsFailure::Options(what) => Unopened::Options(what),
        TlsFailure::Handshake(error) if error.kind() == io::ErrorKind::WouldBlock => {
            unreachable(io::ErrorKind::TimedOut.into())
        }
        TlsFailure::Handshake(error) => unreachable(error),
    })?;
    limit_reads(socket, None).map_err(unreachable)?;
    Ok(session)
}

fn limit_reads(socket: &File, limit: Option<Duration>) -> io::Result<()> {
    Ok(sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, limit)?)
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
