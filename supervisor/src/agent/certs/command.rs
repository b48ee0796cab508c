//! `certs …` on the control socket.

use std::rc::Rc;

use holdfast_supervisor::degraded::Degraded;

use super::keeper::Keeper;
use super::report::Certificates;
use super::schedule::Decision;
use super::{look, server};
use crate::run::Shared;

const OFF: &str = "[tls] is off";

/// `status` (or nothing) and `renew`.
pub(crate) async fn command(shared: &Rc<Shared>, words: &str) -> Result<String, String> {
    match words.trim() {
        "" | "status" => {}
        "renew" => renew(shared).await?,
        other => return Err(format!("unknown: certs {other}; known are: status, renew")),
    }
    let said = Certificates::new(shared).map(|certificates| certificates.to_string());
    Ok(said.map_or_else(|| OFF.to_owned(), |said| said.trim_end().to_owned()))
}

/// A new certificate now, or the operator's files judged now.
async fn renew(shared: &Rc<Shared>) -> Result<(), String> {
    shared.certs.keeper.borrow_mut().as_mut().map(Keeper::ask).ok_or(OFF)?;
    look(shared).await;
    server::follow(shared).await;
    let keeper = shared.certs.keeper.borrow();
    let keeper = keeper.as_ref().ok_or(OFF)?;
    match (&keeper.trouble, keeper.decision) {
        (Some(trouble), _) => Err(trouble.clone()),
        (None, Decision::AwaitClock) => Err(Degraded::ClockUnset.text().to_owned()),
        (None, Decision::AwaitEntropy) => Err(Degraded::NoEntropy.text().to_owned()),
        _ => Ok(()),
    }
}
