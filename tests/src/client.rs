//! A blocking RESP client over TCP, TLS or a unix socket, with raw access to the bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::resp::{self, Value, encode_command};
use crate::wait::PATIENCE;

/// Commands sent before their replies are read.
const PIPELINE: usize = 1_000;

/// A connection. Every read gives up after [`PATIENCE`].
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Socket>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
            Socket::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Tcp(_) | Socket::Unix(_) => Ok(()),
            Socket::Tls(stream) => stream.flush(),
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    // Without it the kernel would gather single bytes into one segment.
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(Socket::Tcp(open(address)?)) })
    }

    /// The handshake is over when this returns.
    pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut stream = open(address)?;
        let name = ServerName::from(address.ip());
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut tls = Box::new(StreamOwned::new(tls, stream.try_clone()?));
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut stream)?;
        }
        Ok(Self { stream: BufReader::new(Socket::Tls(tls)) })
    }

    /// DER of the certificate that the server showed in its handshake.
    pub fn server_certificate(&self) -> Option<Vec<u8>> {
        let Socket::Tls(tls) = self.stream.get_ref() else { return None };
        Some(tls.conn.peer_certificates()?.first()?.to_vec())
    }

    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Socket::Unix(stream)) })
    }

    /// Shortens or lengthens how long a read waits for bytes.
    pub fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self.stream.get_ref() {
            Socket::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Socket::Unix(stream) => stream.set_read_timeout(Some(limit)),
            Socket::Tls(stream) => stream.sock.set_read_timeout(Some(limit)),
        }
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Value> {
        self.send(args)?;
        self.read()
    }

    /// Like [`Client::command`], given as words between spaces; panics when the connection fails.
    #[track_caller]
    pub fn run(&mut self, words: &str) -> Value {
        let args: Vec<&str> = words.split_ascii_whitespace().collect();
        self.command(&args).unwrap_or_else(|e| panic!("{words}: {e}"))
    }

    /// Sends the command of every number, a thousand before their replies are read; what went wrong
    /// when one of them fails.
    pub fn pipeline<Arg: AsRef<[u8]>>(
        &mut self,
        numbers: Range<usize>,
        command: impl Fn(usize) -> Vec<Arg>,
    ) -> Result<(), String> {
        for start in numbers.clone().step_by(PIPELINE) {
            let batch = start..numbers.end.min(start + PIPELINE);
            let bytes: Vec<u8> = batch.clone().flat_map(|n| encode_command(&command(n))).collect();
            self.write_raw(&bytes).map_err(|e| e.to_string())?;
            for _ in batch {
                if let Value::Error(text) = self.read().map_err(|e| e.to_string())? {
                    return Err(String::from_utf8_lossy(&text).into_owned());
                }
            }
        }
        Ok(())
    }

    pub fn send(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<()> {
        self.write_raw(&resp::encode_command(args))
    }

    pub fn read(&mut self) -> io::Result<Value> {
        resp::read_value(&mut self.stream)
    }

    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Hands the bytes to the kernel one by one, so that the server sees them split.
    pub fn write_bytewise(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().try_for_each(|byte| self.write_raw(std::slice::from_ref(byte)))
    }

    /// Whether the server has closed the connection, with nothing left to read.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Reads whatever comes until the server closes the connection or nothing comes in time.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset after the last reply is an end as good as any: what came is what counts.
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }
}
