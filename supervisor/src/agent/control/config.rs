//! `config`: the holdfast.toml of the data partition, shown, put in its place and taken away.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use holdfast_supervisor::control::MAX_CONFIG_BYTES;
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::paths::{self, SITE_CONFIG};
use holdfast_supervisor::snapshot::Mode;

use super::answer::{Outcome, reload};
use crate::config::Config;
use crate::files::{sync_parent, write_whole};
use crate::run::Shared;

/// The file that counts; its place as a comment, so that the whole is one, too.
pub(super) fn show(shared: &Shared) -> Outcome {
    let path = shared.file.borrow().path;
    let mut text = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_CONFIG_BYTES.into()).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(format!("# {path}\n{}", String::from_utf8_lossy(&text))),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// Only without a mistake; a file that is there is replaced in one step.
pub(crate) async fn put(shared: &Rc<Shared>, text: &[u8]) -> Outcome {
    on_machines(shared)?;
    judge(text)?;
    let written =
        fs::create_dir_all(paths::STATE).and_then(|()| write_whole(Path::new(SITE_CONFIG), text));
    written.map_err(|error| format!("{SITE_CONFIG}: {error}; nothing is changed"))?;
    let read = reload(shared).await?;
    let is_kept = !told(shared, Degraded::VolatileData);
    let until = if is_kept { "" } else { " until power-off, as /data is in memory" };
    Ok(format!("{read}{until}; what only a new process can have waits for `restart server`"))
}

pub(super) async fn reset(shared: &Rc<Shared>) -> Outcome {
    on_machines(shared)?;
    let path = Path::new(SITE_CONFIG);
    match fs::remove_file(path).and_then(|()| sync_parent(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("{SITE_CONFIG}: {error}")),
        _ => reload(shared).await,
    }
}

fn judge(text: &[u8]) -> Result<(), String> {
    if text.len() > MAX_CONFIG_BYTES as usize {
        return Err(format!("it is longer than {MAX_CONFIG_BYTES} bytes; nothing is changed"));
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| format!("it is not UTF-8: {error}; nothing is changed"))?;
    let told = |problems: Vec<_>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("{}\nnothing is changed", lines.join("\n"))
    };
    Config::parse(text).map(drop).map_err(|problems: Vec<crate::config::Problem>| told(problems))
}

fn on_machines(shared: &Shared) -> Result<(), String> {
    let mode = shared.snapshot.borrow().as_ref().map(|snapshot| snapshot.mode);
    match mode {
        Some(Mode::Metal) => Ok(()),
        _ => Err(format!(
            "a container's {} is mounted over the image's, from outside",
            paths::CONFIG
        )),
    }
}

fn told(shared: &Shared, degraded: Degraded) -> bool {
    let snapshot = shared.snapshot.borrow();
    snapshot.as_ref().is_some_and(|snapshot| snapshot.degraded.contains(degraded))
}
