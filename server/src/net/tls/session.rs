//! A session of our client over a socket that blocks: one thread may read while another one writes.
//!
//! Nobody holds the connection's state while a socket makes him wait: a server may take no more before
//! we have taken what it says. What is to be sent is encrypted and sent under one lock, so that its order
//! on the wire is the one it was numbered in.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_cli::TlsSession;
use rustls::{ClientConnection, IoState};

use super::reasons::reason;

/// What the socket is asked for, and what is encrypted at once: a record and a bit.
const CHUNK: usize = 16 << 10;

pub(super) struct Session {
    connection: Mutex<ClientConnection>,
    socket: File,
    incoming: Mutex<Incoming>,
    /// Encrypted, and not sent yet.
    outgoing: Mutex<Vec<u8>>,
}

/// What has come and is not decrypted yet.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    taken: usize,
    /// Nothing more will come.
    is_over: bool,
}

impl Session {
    pub(super) fn new(connection: ClientConnection, socket: File) -> Self {
        Self {
            connection: Mutex::new(connection),
            socket,
            incoming: Mutex::default(),
            outgoing: Mutex::default(),
        }
    }

    pub(super) fn shake_hands(&self) -> io::Result<()> {
        loop {
            self.flush()?;
            if !lock(&self.connection).is_handshaking() {
                return Ok(());
            }
            let mut incoming = lock(&self.incoming);
            incoming.read(&self.socket)?;
            if incoming.is_over {
                return Err(io::Error::other("unexpected eof while reading"));
            }
            self.decrypt(&mut incoming)?;
        }
    }

    /// Takes in some of what has come.
    fn decrypt(&self, incoming: &mut Incoming) -> io::Result<()> {
        let taken = lock(&self.connection).read_tls(&mut &incoming.bytes[incoming.taken..]);
        incoming.taken += taken?;
        let state = self.state();
        if state.is_err() {
            // The server is told why, if it listens.
            let _ = self.flush();
        }
        state.map(|_| ())
    }

    /// What there is after all that was taken in; an error stays.
    fn state(&self) -> io::Result<IoState> {
        let state = lock(&self.connection).process_new_packets();
        state.map_err(|error| io::Error::other(reason(&error)))
    }

    fn flush(&self) -> io::Result<()> {
        self.send(&mut lock(&self.outgoing))
    }

    /// Sends what the connection has to say, until there is nothing.
    fn send(&self, outgoing: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let mut connection = lock(&self.connection);
            while connection.wants_write() {
                connection.write_tls(outgoing)?;
            }
            drop(connection);
            if outgoing.is_empty() {
                return Ok(());
            }
            (&self.socket).write_all(outgoing)?;
            outgoing.clear();
        }
    }
}

impl TlsSession for Session {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.incoming);
        loop {
            match lock(&self.connection).reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.state()?;
            incoming.read(&self.socket)?;
            // Whether the end was announced does not matter: a reply tells itself whether it is whole.
            if incoming.is_over {
                return Ok(0);
            }
            self.decrypt(&mut incoming)?;
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut outgoing = lock(&self.outgoing);
        for chunk in bytes.chunks(CHUNK) {
            lock(&self.connection).writer().write_all(chunk)?;
            self.send(&mut outgoing)?;
        }
        Ok(())
    }

    fn has_more(&self) -> bool {
        let mut incoming = lock(&self.incoming);
        loop {
            match self.state() {
                Ok(state) if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() => {
                    return true;
                }
                Err(_) => return true,
                Ok(_) if incoming.is_empty() => return incoming.is_over,
                Ok(_) => {}
            }
            if self.decrypt(&mut incoming).is_err() {
                return true;
            }
        }
    }

    fn take_in(&self) {
        // What is wrong is found by the read that follows: an end stays one, and so does an error.
        let _ = lock(&self.incoming).read(&self.socket);
    }
}

impl Incoming {
    fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Waits for more, if there is nothing left.
    fn read(&mut self, mut socket: &File) -> io::Result<()> {
        if !self.is_empty() || self.is_over {
            return Ok(());
        }
        self.bytes.resize(CHUNK, 0);
        let got = socket.read(&mut self.bytes);
        self.bytes.truncate(*got.as_ref().unwrap_or(&0));
        self.taken = 0;
        self.is_over = got? == 0;
        Ok(())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
