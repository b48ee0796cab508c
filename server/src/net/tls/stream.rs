//! A socket that speaks TLS, as [`connection`](crate::net::connection) wants it: bytes in and out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::stream::Stream;

pub(super) struct TlsStream(tokio_rustls::server::TlsStream<TcpStream>);

impl TlsStream {
    pub(super) fn new(stream: tokio_rustls::server::TlsStream<TcpStream>) -> Self {
        Self(stream)
    }

    /// The certificate that the client has shown, and that was found good.
    pub(super) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.0.get_ref().1.peer_certificates()?.first()
    }
}

/// Tells the peer that nothing follows, so that it does not take the end for a broken connection. If
/// the socket takes no more, the peer is not listening either.
impl Drop for TlsStream {
    fn drop(&mut self) {
        let (socket, session) = self.0.get_mut();
        session.send_close_notify();
        while session.wants_write() {
            if session.write_tls(&mut Writer(socket)).is_err() {
                break;
            }
        }
    }
}

struct Writer<'a>(&'a TcpStream);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for TlsStream {
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }
}
