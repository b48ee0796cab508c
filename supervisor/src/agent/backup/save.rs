//! What the server has to do for a backup: bring its file up to date, and say where it lies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::dialogue::{Dialogue, Info};

/// How long a save may take; the largest dataset at the slowest disk.
const SAVE_LIMIT: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(100);

/// Where the server keeps what, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) directory: PathBuf,
    pub(crate) file: String,
    /// Unknown while the server cannot be asked.
    pub(crate) appends: Option<bool>,
    pub(crate) log_directory: String,
    pub(crate) log_name: String,
}

impl Layout {
    /// That of a server without a configuration, in `directory`.
    pub(crate) fn standard(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            file: "dump.rdb".to_owned(),
            appends: None,
            log_directory: "appendonlydir".to_owned(),
            log_name: "appendonly.aof".to_owned(),
        }
    }

    pub(crate) async fn ask(server: &mut Dialogue) -> std::io::Result<Self> {
        let unknown = |name: &str| std::io::Error::other(format!("the server has no {name}"));
        let mut values = Vec::new();
        for name in ["dir", "dbfilename", "appendonly", "appenddirname", "appendfilename"] {
            values.push(server.config(name).await?.ok_or_else(|| unknown(name))?);
        }
        let [directory, file, appends, log_directory, log_name] =
            values.try_into().map_err(|_| unknown("directory"))?;
        let directory = PathBuf::from(directory);
        let appends = Some(appends == "yes");
        Ok(Self { directory, file, appends, log_directory, log_name })
    }

    pub(crate) fn dump(&self) -> PathBuf {
        self.directory.join(&self.file)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join(&self.log_directory)
    }
}

/// Has the server write its file, and waits for it.
pub(crate) async fn save(server: &mut Dialogue) -> Result<Layout, String> {
    let deadline = Instant::now() + SAVE_LIMIT;
    let layout = Layout::ask(server).await.map_err(|error| told(&error))?;
    start(server, deadline).await?;
    let info = wait_until(server, deadline, |info| running(info) == Some(false)).await?;
    match info.field("rdb_last_bgsave_status") {
        Some("ok") => Ok(layout),
        _ => Err("the server could not save: its log says why".to_owned()),
    }
}

/// A save or a rewrite that is under way already is waited for: it began before we asked.
async fn start(server: &mut Dialogue, deadline: Instant) -> Result<(), String> {
    loop {
        let busy = |info: &Info| {
            running(info) == Some(true) || info.field("aof_rewrite_in_progress") == Some("1")
        };
        wait_until(server, deadline, |info| !busy(info)).await?;
        match server.ask(&["BGSAVE"]).await {
            Ok(_) => return Ok(()),
            // Another began between the two questions.
            Err(error) if error.to_string().contains("in progress") => {}
            Err(error) if error.to_string().contains("Another child") => {}
            Err(error) => return Err(told(&error)),
        }
    }
}

fn running(info: &Info) -> Option<bool> {
    Some(info.field("rdb_bgsave_in_progress")? != "0")
}

async fn wait_until(
    server: &mut Dialogue,
    deadline: Instant,
    holds: impl Fn(&Info) -> bool,
) -> Result<Info, String> {
    loop {
        let info = server.info("persistence").await.map_err(|error| told(&error))?;
        if holds(&info) {
            return Ok(info);
        }
        if Instant::now() >= deadline {
            return Err(format!("the server was still saving after {SAVE_LIMIT:?}"));
        }
        sleep(POLL).await;
    }
}

fn told(error: &std::io::Error) -> String {
    format!("the server cannot be asked: {error}")
}
