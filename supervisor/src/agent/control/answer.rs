//! What each request comes to.
//!
//! What takes its time runs on its own: whoever asked may leave, and it is finished all the same.
//! A backup, a restore or an update is alone.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::channel::{End, ToInit};
use holdfast_supervisor::control::{Line, Request};
use holdfast_supervisor::snapshot::Mode;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::{config, service};
use crate::backup::{self, store};
use crate::certs;
use crate::logs;
use crate::run::{self, Shared};
use crate::update;

/// Lines between an operation and a client that reads slowly; more than any operation says.
const PENDING_LINES: usize = 16;
/// For a client to take one line.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

pub(super) type Outcome = Result<String, String>;

/// Everything that is answered in lines.
pub(crate) async fn answer(
    shared: &Rc<Shared>,
    request: Request<'_>,
    stream: &mut UnixStream,
) -> io::Result<()> {
    match request {
        Request::Control { order, service, wait } => {
            let (shared, service) = (Rc::clone(shared), service.to_owned());
            follow(stream, async move |_| {
                free_of_operations(&shared)?;
                service::carry_out(&shared, order, &service, wait).await
            })
            .await
        }
        Request::Backup => {
            let shared = Rc::clone(shared);
            follow(stream, async move |tell| make_backup(&shared, tell).await).await
        }
        Request::Save => {
            let shared = Rc::clone(shared);
            follow(stream, async move |_| {
                let _alone = alone(&shared)?;
                let layout = backup::save(&shared).await?;
                Ok(layout.dump().display().to_string())
            })
            .await
        }
        Request::Verify { path } => {
            let path = PathBuf::from(path);
            follow(stream, async move |_| verify(path).await).await
        }
        Request::Restore { path } => {
            let (shared, path) = (Rc::clone(shared), path.to_owned());
            follow(stream, async move |tell| {
                let _alone = alone(&shared)?;
                backup::restore::restore(&shared, &path, |text| tell.text(&text)).await
            })
            .await
        }
        Request::Update { path } => {
            let source = update::Source::File(path.into());
            install(shared, source, stream).await
        }
        Request::UpdateFromKey { key, id } => {
            let source = update::Source::Key { key: key.to_owned(), id: id.to_owned() };
            install(shared, source, stream).await
        }
        Request::Certs { words } => {
            let (shared, words) = (Rc::clone(shared), words.to_owned());
            follow(stream, async move |_| certs::command(&shared, &words).await).await
        }
        Request::Reload => say(stream, reload(shared).await).await,
        Request::Config => say(stream, config::show(shared)).await,
        Request::ConfigReset => say(stream, config::reset(shared).await).await,
        Request::Logs { service, count, follow } => match log_slot(shared, service) {
            Ok(slot) => logs(shared, slot, count, follow, stream).await,
            Err(why) => say(stream, Err(why)).await,
        },
        other => say(stream, at_once(shared, other)).await,
    }
}

fn at_once(shared: &Rc<Shared>, request: Request<'_>) -> Outcome {
    match request {
        Request::Backups => Ok(backups(shared)),
        Request::Reboot => end(shared, End::Reboot, "it stops everything and reboots"),
        Request::PowerOff => end(shared, End::PowerOff, "it stops everything and powers off"),
        Request::FactoryReset => factory_reset(shared),
        _ => Err("this is not answered here".to_owned()),
    }
}

fn log_slot(shared: &Shared, service: Option<&str>) -> Result<Option<u8>, String> {
    let slot =
        |name| logs::slot_of(shared, name).ok_or_else(|| format!("no service is named {name}"));
    service.map(slot).transpose()
}

/// Ends with the client, or with the agent.
async fn logs(
    shared: &Shared,
    slot: Option<u8>,
    count: u16,
    follow: bool,
    stream: &mut UnixStream,
) -> io::Result<()> {
    let Ok(_seat) = shared.followers.try_acquire() else {
        return say(stream, Err("too many others follow the log".to_owned())).await;
    };
    // From before the tail is read: no line falls in between.
    let news = logs::follow(shared, slot);
    for line in logs::tail(shared, slot, count.into()) {
        write(stream, &Line::Text(&line).to_string()).await?;
    }
    if follow {
        return pass_on(shared, news, stream).await;
    }
    say(stream, Ok(String::new())).await
}

async fn pass_on(
    shared: &Shared,
    mut news: logs::Follow,
    stream: &mut UnixStream,
) -> io::Result<()> {
    let mut byte = [0];
    loop {
        let line = tokio::select! {
            line = news.next(shared) => line,
            // Whoever has no more to ask for has left, or talks out of turn.
            _ = stream.read(&mut byte) => None,
        };
        let Some(line) = line else { return Ok(()) };
        write(stream, &Line::Text(&line).to_string()).await?;
    }
}

pub(crate) async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    outcome: Outcome,
) -> io::Result<()> {
    write(stream, &last_line(&outcome)).await
}

fn last_line(outcome: &Outcome) -> String {
    match outcome {
        Ok(text) => Line::Done(text).to_string(),
        Err(why) => Line::Failed(why).to_string(),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    let written = tokio::time::timeout(WRITE_LIMIT, stream.write_all(text.as_bytes()));
    written.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Where an operation says how far it is.
pub(crate) struct Tell(mpsc::Sender<String>);

impl Tell {
    /// To nobody, when nobody listens any more.
    fn text(&self, text: &str) {
        let _ = self.0.try_send(Line::Text(text).to_string());
    }
}

async fn follow<F>(stream: &mut (impl AsyncWrite + Unpin), operation: F) -> io::Result<()>
where
    F: AsyncFnOnce(&Tell) -> Outcome + 'static,
{
    let (sender, mut lines) = mpsc::channel(PENDING_LINES);
    tokio::task::spawn_local(async move {
        let tell = Tell(sender);
        let outcome = operation(&tell).await;
        let _ = tell.0.send(last_line(&outcome)).await;
    });
    while let Some(line) = lines.recv().await {
        write(stream, &line).await?;
    }
    Ok(())
}

type Alone<'s> = tokio::sync::MutexGuard<'s, ()>;

fn alone(shared: &Shared) -> Result<Alone<'_>, String> {
    shared
        .operation
        .try_lock()
        .map_err(|_| "a backup, a restore or an update is under way".to_owned())
}

fn free_of_operations(shared: &Shared) -> Result<(), String> {
    alone(shared).map(drop)
}

async fn make_backup(shared: &Rc<Shared>, tell: &Tell) -> Outcome {
    let _alone = alone(shared)?;
    tell.text("the server saves its data");
    let entry = backup::make(shared).await?;
    let facts = entry.facts.ok_or("its sidecar cannot be read")?;
    let (path, size) = (entry.path.display(), store::Size(facts.bytes));
    Ok(format!("{path}: {} keys, {size}, verified", facts.keys))
}

async fn install(
    shared: &Rc<Shared>,
    source: update::Source,
    stream: &mut UnixStream,
) -> io::Result<()> {
    let shared = Rc::clone(shared);
    follow(stream, async move |tell| {
        let _alone = alone(&shared)?;
        let sender = tell.0.clone();
        let say = move |text: &str| drop(sender.try_send(Line::Text(text).to_string()));
        update::install(&shared, source, say).await
    })
    .await
}

fn backups(shared: &Shared) -> String {
    let directory = shared.config().backup.directory.clone();
    let list = store::Store::at(&directory).list();
    let lines = list.iter().map(|entry| match &entry.facts {
        Some(facts) => {
            format!("{}  {} keys  {}", entry.path.display(), facts.keys, store::Size(facts.bytes))
        }
        None => format!("{}  its sidecar is gone or damaged", entry.path.display()),
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        format!("no backup in {}", directory.display())
    } else {
        lines.join("\n")
    }
}

/// Without the server's checker, which the agent may not execute.
async fn verify(path: PathBuf) -> Outcome {
    let read = tokio::task::spawn_blocking(move || backup::verify::verify(&path, |_| Ok(false)));
    read.await.unwrap_or_else(|error| Err(format!("the reading ended: {error}")))
}

/// Every mistake, as `check` reports them.
pub(super) async fn reload(shared: &Rc<Shared>) -> Outcome {
    run::load(shared).await;
    let file = shared.file.borrow();
    let path = file.path;
    let mistakes: Vec<_> = file.problems.iter().map(|p| format!("{path}:{p}")).collect();
    match (mistakes.is_empty(), file.present) {
        (false, _) => Err(format!("{}\nthe configuration is unchanged", mistakes.join("\n"))),
        (true, true) => Ok(format!("{path} is read")),
        (true, false) => Ok(format!("there is no {path}: the defaults hold")),
    }
}

fn end(shared: &Shared, how: End, text: &str) -> Outcome {
    free_of_operations(shared)?;
    shared
        .link
        .send(&ToInit::End(how))
        .map_err(|error| format!("init cannot be asked: {error}"))?;
    Ok(text.to_owned())
}

fn factory_reset(shared: &Shared) -> Outcome {
    let mode = shared.snapshot.borrow().as_ref().map(|snapshot| snapshot.mode);
    if mode != Some(Mode::Metal) {
        return Err("a container begins anew when its volume is deleted, from outside".to_owned());
    }
    end(shared, End::FactoryReset, "it reboots and begins anew with an empty /data")
}
