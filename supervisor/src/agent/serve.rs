//! The two doors: the local socket, where everything may be asked by those who may, and TCP where
//! that was asked for, which answers `status` and nothing else.
//!
//! One request line in, one answer out, then the connection closes. Requests are bounded in
//! length, time, number and rate; whatever is not a request gets an error line.

mod hooks;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use holdfast_supervisor::clock::now_ms;
use holdfast_supervisor::control::{Line, MAX_REQUEST_BYTES, Request};
use holdfast_supervisor::paths;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::control::{answer, config, peer};
use crate::report::Report;
use crate::run::{Shared, kernel_words, listen_word};

/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16;
/// To bring a request, and to take the status.
const DEADLINE: Duration = Duration::from_secs(2);
/// After an error that may pass, such as no free descriptor.
const RETRY: Duration = Duration::from_millis(200);

/// On the first of the known places that can be had.
pub(crate) async fn local(shared: &Rc<Shared>) {
    for path in paths::STATUS_SOCKETS {
        match bind(Path::new(path)) {
            Ok(listener) => {
                shared.status_socket.set(Some(path));
                return accept(shared, || listener.accept(), admit).await;
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
        Ok(listener) => accept(shared, || listener.accept(), tell_status).await,
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

/// A place among the connections that are served at once.
type Seat = OwnedSemaphorePermit;

async fn accept<S, A, F>(
    shared: &Rc<Shared>,
    next: impl Fn() -> F,
    serve: impl AsyncFn(&Rc<Shared>, S, Seat) -> io::Result<()> + Copy + 'static,
) where
    S: 'static,
    F: Future<Output = io::Result<(S, A)>>,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match next().await {
            Ok((stream, _)) => {
                let shared = Rc::clone(shared);
                // A client that is slow or gone is its own problem.
                tokio::task::spawn_local(async move { drop(serve(&shared, stream, place).await) });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn tell_status(shared: &Rc<Shared>, mut stream: TcpStream, _place: Seat) -> io::Result<()> {
    let answered = async {
        let (line, _) = read_line(&mut stream).await?.unwrap_or_default();
        let reply = match Request::parse(&line) {
            Some(Request::Status { json }) => status(shared, json),
            Some(Request::Signal { service, signal }) => hooks::signal(shared, service, signal),
            _ => "error: the requests are: status, status json\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(DEADLINE, answered).await?
}

/// Whoever may not ask learns that, and nothing is read of what they sent.
async fn admit(shared: &Rc<Shared>, mut stream: UnixStream, place: Seat) -> io::Result<()> {
    let mut counters = shared.counters.get();
    let refusal = if !peer::may_ask(&stream)? {
        counters.refused += 1;
        Some("only root and the agent's own user and group may ask")
    } else if !shared.rate.borrow_mut().take(now_ms()) {
        counters.limited += 1;
        Some("too many requests")
    } else {
        counters.requests += 1;
        None
    };
    shared.counters.set(counters);
    match refusal {
        Some(why) => say(&mut stream, Line::Failed(why)).await,
        None => hear(shared, stream, place).await,
    }
}

/// The place is given back when an operation's request is read: it may take an hour.
async fn hear(shared: &Rc<Shared>, mut stream: UnixStream, place: Seat) -> io::Result<()> {
    let heard = tokio::time::timeout(DEADLINE, read_request(&mut stream)).await;
    let (line, file) = heard.ok().transpose()?.flatten().unwrap_or_default();
    let request = Request::parse(&line);
    let is_told = matches!(request, None | Some(Request::Status { .. } | Request::Signal { .. }));
    let _place = is_told.then_some(place);
    match request {
        None => {
            shared.count(|counters| counters.malformed += 1);
            say(&mut stream, Line::Failed("this is no request; see holdfast --help")).await
        }
        Some(Request::ConfigPut { .. }) => {
            let outcome = config::put(shared, &file).await;
            answer::say(&mut stream, outcome).await
        }
        Some(request) => attend(shared, request, &mut stream).await,
    }
}

/// Whoever asks may ask.
pub(crate) async fn attend(
    shared: &Rc<Shared>,
    request: Request<'_>,
    stream: &mut UnixStream,
) -> io::Result<()> {
    match request {
        Request::Status { json } => give(stream, &status(shared, json)).await,
        Request::Signal { service, signal } => {
            give(stream, &hooks::signal(shared, service, signal)).await
        }
        request => {
            answer::answer(shared, request, stream).await?;
            stream.shutdown().await
        }
    }
}

/// A line, and what belongs to it.
async fn read_request(stream: &mut UnixStream) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some((line, mut file)) = read_line(stream).await? else { return Ok(None) };
    if let Some(Request::ConfigPut { bytes }) = Request::parse(&line) {
        let missing = (bytes as usize).checked_sub(file.len());
        // More than it said is not what it said.
        let Some(missing) = missing else { return Ok(None) };
        let read = stream.take(missing as u64).read_to_end(&mut file).await?;
        return Ok((read == missing).then_some((line, file)));
    }
    Ok(Some((line, file)))
}

fn status(shared: &Shared, json: bool) -> String {
    let report = Report::new(shared);
    if json { report.to_json() + "\n" } else { report.to_string() }
}

async fn say(stream: &mut UnixStream, line: Line<'_>) -> io::Result<()> {
    give(stream, &line.to_string()).await
}

async fn give(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    let given = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(DEADLINE, given).await?
}

/// Without its line end, and what came behind it; `None` when there is none within the bound.
async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut line = Vec::with_capacity(MAX_REQUEST_BYTES);
    let mut stream = stream.take(MAX_REQUEST_BYTES as u64);
    loop {
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            let behind = line.split_off(end + 1);
            line.truncate(end);
            return Ok(Some((line, behind)));
        }
        if stream.read_buf(&mut line).await? == 0 {
            return Ok(None);
        }
    }
}
