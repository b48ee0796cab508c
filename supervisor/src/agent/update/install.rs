//! `update`: the file is checked, written to the other slot, and that slot is tried at a reboot.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::channel::{End, ToInit};
use holdfast_supervisor::slots::{Obstacle, Slot, View};
use holdfast_supervisor::snapshot::Mode;
use holdfast_supervisor::update::{Header, compare};

use super::file::{self, hexadecimal};
use super::slot::{self, Device};
use super::{Outcome, Record, Source};
use crate::backup::{blocking, unix_ms};
use crate::run::Shared;

const RUNNING: &str = env!("CARGO_PKG_VERSION");
/// For init to have the firmware's variables written.
const ARM_WAIT: Duration = Duration::from_secs(20);

/// What is done is told by `tell`; an error is why nothing of what starts has changed.
pub(crate) async fn install(
    shared: &Rc<Shared>,
    source: Source,
    tell: impl Fn(&str) + Clone + Send + 'static,
) -> Result<String, String> {
    let (running, device) = target(shared)?;
    let header = check(shared, &source, &device).await?;
    tell(&introduce(&header, running.other()));
    write(shared, &source, &device, &header, tell).await?;
    try_it(shared, &header, running).await?;
    let seconds = shared.config().update.stable_ms / 1000;
    Ok(format!(
        "slot {} is written; it reboots now to try it, and comes back to slot {} unless the server \
         is ready there for {seconds} s",
        running.other().name(),
        running.name()
    ))
}

/// The slot that runs, and the device of the other one.
fn target(shared: &Shared) -> Result<(Slot, PathBuf), String> {
    let snapshot = shared.snapshot.borrow();
    let snapshot = snapshot.as_ref().ok_or("init has not told yet what runs")?;
    if snapshot.mode != Mode::Metal {
        return Err("a container is updated from outside: run a newer image".to_owned());
    }
    let View { obstacle, running, is_trial, ref other_device, .. } = snapshot.slots;
    if is_trial {
        return Err("this version is on trial itself: wait until it is kept".to_owned());
    }
    match (obstacle, running) {
        (Obstacle::None, Some(running)) => {
            Ok((running, PathBuf::from("/dev").join(other_device.as_str())))
        }
        (obstacle, _) => Err(format!("this machine cannot be updated: {}", obstacle.text())),
    }
}

async fn check(
    shared: &Rc<Shared>,
    source: &Source,
    device: &std::path::Path,
) -> Result<Header, String> {
    let mut input = source.open(shared)?;
    let (expected, device) = (source.id().map(str::to_owned), device.to_owned());
    blocking(move || {
        let device = Device::open(&device)?;
        file::check(&mut input, |header| {
            let id = hexadecimal(&header.id);
            if expected.as_ref().is_some_and(|expected| *expected != id) {
                return Err(format!("it is another update than was asked for: its id is {id}"));
            }
            slot::fits(&device, header)
        })
    })
    .await
}

fn introduce(header: &Header, slot: Slot) -> String {
    let version = &header.version;
    let what = match compare(version, RUNNING) {
        Some(Ordering::Less) => format!("a downgrade from {RUNNING} to {version}"),
        Some(Ordering::Equal) => format!("{version}, the version that runs"),
        _ => format!("{version}, in the place of {RUNNING}"),
    };
    format!("{what}, for slot {}; its id is {}", slot.name(), hexadecimal(&header.id))
}

/// What is written must be what was checked.
async fn write(
    shared: &Rc<Shared>,
    source: &Source,
    device: &std::path::Path,
    checked: &Header,
    tell: impl Fn(&str) + Send + 'static,
) -> Result<(), String> {
    let mut input = source.open(shared)?;
    let (device, checked) = (device.to_owned(), checked.clone());
    blocking(move || {
        let mut device = Device::open(&device)?;
        let mut progress = |percent| tell(&format!("{percent} % written"));
        let written = slot::write(&mut device, &checked, &mut input, &mut progress);
        written.map_err(|why| format!("{why}; what runs and what starts next is unchanged"))
    })
    .await
}

/// The record first: what starts next reads it.
async fn try_it(shared: &Rc<Shared>, header: &Header, running: Slot) -> Result<(), String> {
    let before = shared.update.borrow().clone();
    let record = Record {
        outcome: Outcome::Trying,
        version: header.version.as_str().to_owned(),
        id: hexadecimal(&header.id),
        slot: running.other().name().to_owned(),
        from: RUNNING.to_owned(),
        reason: None,
        boots: shared.snapshot.borrow().as_ref().map_or(0, |snapshot| snapshot.boot.count),
        unix_ms: unix_ms(),
    };
    record.save().map_err(|error| format!("nothing can be kept on /data: {error}"))?;
    let armed = arm(shared).await;
    if armed.is_err() {
        // A record that stays says that nothing came of it, which is so.
        let _ = before.as_ref().map(Record::save);
        return armed;
    }
    *shared.update.borrow_mut() = Some(record);
    tell_init(shared, &ToInit::End(End::Reboot))
}

async fn arm(shared: &Shared) -> Result<(), String> {
    let mut snapshots = shared.snapshot.subscribe();
    tell_init(shared, &ToInit::TryOtherSlot)?;
    let answered = async {
        while snapshots.changed().await.is_ok() {
            let slots = snapshots.borrow_and_update().as_ref().map(|now| now.slots.clone());
            match slots.unwrap_or_default() {
                View { is_armed: true, .. } => return Ok(()),
                View { errno: 0, .. } => {}
                View { errno, .. } => return Err(refused(errno)),
            }
        }
        Err("init is gone".to_owned())
    };
    let late = |_| Err("the firmware does not answer".to_owned());
    tokio::time::timeout(ARM_WAIT, answered).await.unwrap_or_else(late)
}

pub(super) fn refused(errno: u16) -> String {
    let error = std::io::Error::from_raw_os_error(errno.into());
    format!("the firmware does not keep its boot options: {error}")
}

pub(super) fn tell_init(shared: &Shared, message: &ToInit) -> Result<(), String> {
    shared.link.send(message).map_err(|error| format!("init cannot be asked: {error}"))
}
