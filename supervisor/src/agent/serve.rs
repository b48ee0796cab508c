//! Answers `status` on a local socket, and over TCP where that was asked for.
//!
//! One request line in, one answer out, then the connection closes. Requests are bounded in
//! length, time and number; whatever is not a request gets an error line.

mod hooks;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use holdfast_supervisor::paths;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use crate::report::Report;
use crate::run::{Shared, kernel_words, listen_word};

const MAX_REQUEST_BYTES: usize = 128;
/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(2);
/// After an error that may pass, such as no free descriptor.
const RETRY: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Status,
    StatusJson,
    /// `signal SERVICE NAME`; answered by `test-hooks` builds only.
    Signal {
        service: &'a str,
        signal: &'a str,
    },
}

impl<'a> Request<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let request = match (words.next()?, words.next(), words.next()) {
            ("status", None, None) => Self::Status,
            ("status", Some("json"), None) => Self::StatusJson,
            ("signal", Some(service), Some(signal)) => Self::Signal { service, signal },
            _ => return None,
        };
        words.next().is_none().then_some(request)
    }
}

/// On the first of the known places that can be had.
pub(crate) async fn local(shared: &Rc<Shared>) {
    for path in paths::STATUS_SOCKETS {
        match bind(Path::new(path)) {
            Ok(listener) => {
                shared.status_socket.set(Some(path));
                return accept(shared, || listener.accept()).await;
            }
            Err(error) => eprintln!("holdfast-agent: no status socket at {path}: {error}"),
        }
    }
    std::future::pending().await
}

/// Where the kernel command line or the configuration asks for it.
pub(crate) async fn remote(shared: &Rc<Shared>) {
    let line = kernel_words(shared).await.unwrap_or_default();
    let asked = listen_word(&line).and_then(|word| word.parse().ok());
    let Some(address) = asked.or(shared.config().status_listen) else {
        return std::future::pending().await;
    };
    match TcpListener::bind(address).await {
        Ok(listener) => accept(shared, || listener.accept()).await,
        Err(error) => {
            eprintln!("holdfast-agent: cannot serve status on {address}: {error}");
            std::future::pending().await
        }
    }
}

/// For root and the group only: it says what this machine runs.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

async fn accept<S, A, F>(shared: &Rc<Shared>, next: impl Fn() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = io::Result<(S, A)>>,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match next().await {
            Ok((stream, _)) => {
                let shared = Rc::clone(shared);
                tokio::task::spawn_local(async move {
                    // A client that is slow or gone is its own problem.
                    let _ = tokio::time::timeout(DEADLINE, answer(&shared, stream)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn answer(
    shared: &Shared,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let line = read_line(&mut stream).await?;
    let reply = match line.as_deref().and_then(Request::parse) {
        Some(Request::Status) => Report::new(shared).to_string(),
        Some(Request::StatusJson) => Report::new(shared).to_json() + "\n",
        Some(Request::Signal { service, signal }) => hooks::signal(shared, service, signal),
        None => "error: the requests are: status, status json\n".to_owned(),
    };
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// Without its line end; `None` when there is none within the bound.
async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::with_capacity(MAX_REQUEST_BYTES);
    let mut stream = stream.take(MAX_REQUEST_BYTES as u64);
    loop {
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            line.truncate(end);
            return Ok(Some(line));
        }
        if stream.read_buf(&mut line).await? == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_whole_lines_of_known_words() {
        assert_eq!(Request::parse(b"status"), Some(Request::Status));
        assert_eq!(Request::parse(b" status  json\r"), Some(Request::StatusJson));
        let signal = Request::Signal { service: "server", signal: "STOP" };
        assert_eq!(Request::parse(b"signal server STOP"), Some(signal));
        for odd in
            [&b""[..], b"statu", b"status xml", b"status json now", b"signal server", b"\xff"]
        {
            assert_eq!(Request::parse(odd), None, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn random_requests_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&bytes);
        }
    }
}
