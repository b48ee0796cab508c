//! One question to the server: PING, and what its answer means.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
/// An error reply may be a sentence; it is not a page.
const MAX_REPLY_BYTES: usize = 512;

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It serves. That it wants a password first is no illness.
    Ready,
    /// It speaks, and says why it does not serve: alive, not ready.
    Busy,
}

/// Connects, asks, reads one line; all of it within `timeout`.
pub(crate) async fn ping(endpoint: &Endpoint, timeout: Duration) -> io::Result<Answer> {
    let asked = async {
        match endpoint {
            Endpoint::Tcp(address) => ask(TcpStream::connect(address).await?).await,
            Endpoint::Unix(path) => ask(UnixStream::connect(path).await?).await,
        }
    };
    tokio::time::timeout(timeout, asked).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {timeout:?}"))
    })?
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Answer> {
    stream.write_all(PING).await?;
    let mut reply = Vec::with_capacity(MAX_REPLY_BYTES);
    while !reply.contains(&b'\n') && reply.len() < MAX_REPLY_BYTES {
        if stream.read_buf(&mut reply).await? == 0 {
            break;
        }
    }
    classify(&reply).ok_or_else(|| {
        let start = String::from_utf8_lossy(&reply[..reply.len().min(40)]).into_owned();
        io::Error::new(io::ErrorKind::InvalidData, format!("not a Redis reply: {start:?}"))
    })
}

/// `None`: whatever answers is not a Redis-compatible server.
fn classify(reply: &[u8]) -> Option<Answer> {
    let busy = [&b"-LOADING"[..], b"-BUSY", b"-MASTERDOWN", b"-MISCONF", b"-ERR max number"];
    if !reply.contains(&b'\n') {
        return None;
    }
    match reply.first()? {
        b'+' => Some(Answer::Ready),
        b'-' if busy.iter().any(|start| reply.starts_with(start)) => Some(Answer::Busy),
        b'-' => Some(Answer::Ready),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_ready_busy_or_nothing() {
        let cases = [
            (&b"+PONG\r\n"[..], Some(Answer::Ready)),
            (b"-NOAUTH Authentication required.\r\n", Some(Answer::Ready)),
            (b"-LOADING Redis is loading the dataset in memory\r\n", Some(Answer::Busy)),
            (b"-BUSY Redis is busy running a script.\r\n", Some(Answer::Busy)),
            (b"-ERR max number of clients reached\r\n", Some(Answer::Busy)),
            (b"HTTP/1.1 400 Bad Request\r\n", None),
            (b"+PON", None),
            (b"", None),
        ];
        for (reply, expected) in cases {
            assert_eq!(classify(reply), expected, "{:?}", String::from_utf8_lossy(reply));
        }
    }

    /// Whoever never ends his line is given up in time, and his connection with him.
    #[tokio::test]
    async fn an_endless_answer_ends_with_the_deadline_or_the_limit() {
        for (piece, pause_ms) in [(&b"+"[..], 5), (&[b'+'; 4096], 0), (b"", 5)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("free");
            let endpoint = Endpoint::Tcp(listener.local_addr().expect("bound"));
            let talking = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a probe");
                while stream.write_all(piece).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    if piece.is_empty() && stream.read_u8().await.is_err() {
                        break;
                    }
                }
            });
            let asked = ping(&endpoint, Duration::from_millis(200)).await;
            let kind = asked.expect_err("no answer").kind();
            assert!(matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::InvalidData), "{kind}");
            let closed = tokio::time::timeout(Duration::from_secs(30), talking).await;
            closed.expect("the connection is closed").expect("it only talks");
        }
    }
}
