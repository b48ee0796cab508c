//! A connection's bytes in and out, without waiting: sockets, and what speaks over one.
//!
//! A socket is asked by the system call alone, and only when tokio knows it to be ready. The C
//! library's functions are cancellation points, with atomic operations before and after each call, and
//! tokio's own reading counts a budget: of a GET that comes alone they are a twentieth of the instructions.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

pub trait Stream: Unpin {
    /// Receives once, into the front of `into`. Zero at the end of the stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Whether there may be more to receive, asked without a system call. Who cannot know says yes.
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Sends once; how many bytes of `from` were taken.
    fn poll_send(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends what was taken and held back. A socket holds nothing back.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sends all of `bytes`, or as much as the peer takes before its end.
pub async fn send_all(stream: &mut impl Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| stream.poll_send(cx, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            sent => bytes = &bytes[sent..],
        }
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

/// What tokio knows of a socket's readiness.
trait Socket: AsFd + Unpin {
    fn try_io(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize>;
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            fn try_io(
                &self,
                interest: Interest,
                call: impl FnOnce() -> io::Result<usize>,
            ) -> io::Result<usize> {
                <$stream>::try_io(self, interest, call)
            }

            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                <$stream>::poll_read_ready(self, cx)
            }

            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                <$stream>::poll_write_ready(self, cx)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

impl<S: Socket> Stream for S {
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let room = into.len();
            let received = call(self, Interest::READABLE, room, || {
                Ok(rustix::net::recv(&*self, &mut *into, RecvFlags::empty())?.0)
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_read_ready(cx))?;
                }
                received => return Poll::Ready(received),
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let sent = call(self, Interest::WRITABLE, from.len(), || {
                Ok(rustix::net::send(&*self, from, SendFlags::NOSIGNAL)?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_write_ready(cx))?;
                }
                sent => return Poll::Ready(sent),
            }
        }
    }
}

/// A call that moves up to `wanted` bytes. When it moved some, but fewer, the socket has no more, or
/// takes no more: tokio hears that at once, and no call is made to learn it.
fn call(
    socket: &impl Socket,
    interest: Interest,
    wanted: usize,
    call: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    let mut moved = 0;
    let outcome = socket.try_io(interest, || {
        moved = call()?;
        if (1..wanted).contains(&moved) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(moved) }
    });
    if moved > 0 { Ok(moved) } else { outcome }
}
