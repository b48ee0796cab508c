//! The agent's end of the channel to init.

use std::io;
use std::os::fd::AsFd;

use holdfast_supervisor::channel::{MAX_TO_AGENT_BYTES, ToAgent, ToInit};
use holdfast_supervisor::paths::{CHANNEL_ENV, CHANNEL_VALUE};
use rustix::net::SendFlags;
use tokio::net::UnixDatagram;

pub(crate) struct Link {
    /// In truth a SOCK_SEQPACKET socket: `recv` and `send` are the same calls, and 0 bytes received
    /// is the end, as no message is empty.
    socket: UnixDatagram,
}

impl Link {
    /// init makes it our standard input, and says so.
    pub(crate) fn inherited() -> io::Result<Self> {
        if std::env::var(CHANNEL_ENV).as_deref() != Ok(CHANNEL_VALUE) {
            let message = format!("{CHANNEL_ENV} is not set: `run` is for holdfast-init to start");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let socket =
            std::os::unix::net::UnixDatagram::from(io::stdin().as_fd().try_clone_to_owned()?);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)? })
    }

    /// What init says next. An error is the end: init has closed its side.
    pub(crate) async fn receive(&self) -> io::Result<ToAgent> {
        loop {
            let mut buffer = [0; MAX_TO_AGENT_BYTES];
            let len = self.socket.recv(&mut buffer).await?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match ToAgent::decode(&buffer[..len]) {
                Ok(message) => return Ok(message),
                Err(malformed) => {
                    eprintln!("holdfast-agent: init sent nonsense: {}; ignored", malformed.0);
                }
            }
        }
    }

    /// Messages to init are few and init reads at once; one that does not fit now is an error.
    pub(crate) fn send(&self, message: &ToInit) -> io::Result<()> {
        let bytes = message.encode().ok_or(io::ErrorKind::InvalidInput)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::send(&self.socket, &bytes, flags)?;
        Ok(())
    }
}
