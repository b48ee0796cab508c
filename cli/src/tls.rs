//! TLS as far as the client knows of it: what its options say, and what a session does. The protocol
//! is the business of the program that it is part of ([`About::tls`](crate::About)).

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What the options say of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    pub(crate) is_on: bool,
    /// The name that the server is asked for; without one none is sent.
    pub sni: Option<String>,
    /// Authorities; without file and directory those of the system.
    pub ca_file: Option<PathBuf>,
    pub ca_dir: Option<PathBuf>,
    /// Whoever answers is believed.
    pub is_insecure: bool,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// OpenSSL's lists: of TLS 1.2, and of 1.3.
    pub ciphers: Option<String>,
    pub ciphersuites: Option<String>,
}

/// A session over a socket that blocks. One thread may read while another one writes.
pub trait TlsSession: Send + Sync {
    /// Some bytes, 0 at their end. Waits as long as the socket does.
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Sends all of them.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;

    /// Whether a read returns at once, whatever the socket says.
    fn has_more(&self) -> bool;

    /// Reads the socket once. What was wrong with that the next read tells.
    fn take_in(&self);
}

/// Why there is no session.
#[derive(Debug)]
pub enum TlsFailure {
    /// What the options ask for cannot be had.
    Options(&'static str),
    /// The server, or what is between us.
    Handshake(io::Error),
}

/// Asks whoever is at the terminal for the password of a key.
pub type AskPassword<'a> = &'a dyn Fn() -> Option<Vec<u8>>;

/// Makes a session over a connected socket.
pub type StartTls =
    fn(&TlsOptions, File, AskPassword<'_>) -> Result<Arc<dyn TlsSession>, TlsFailure>;
