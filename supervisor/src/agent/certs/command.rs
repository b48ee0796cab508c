//! `certs …` on the control socket.

use std::rc::Rc;

use holdfast_supervisor::degraded::Degraded;

use super::keeper::Keeper;
use super::report::Certificates;
use super::schedule::Decision;
use super::{look, server};
use crate::config::tls::Origin;
use crate::run::Shared;

const OFF: &str = "[tls] is off";

const NOT_OURS: &str = "[tls] mode is not \"self-ca\": there is no authority of this machine's";

/// It is typed where nobody asks back.
const UNSURE: &str = "with a new authority no client trusts this machine until it is given the new \
     ca.crt: say new-authority --yes";

/// `status` (or nothing), `renew` and `new-authority --yes`.
pub(crate) async fn command(shared: &Rc<Shared>, words: &str) -> Result<String, String> {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    match words[..] {
        [] | ["status"] => {}
        ["renew"] => renew(shared, Keeper::ask).await?,
        ["new-authority", "--yes"] if is_ours(shared)? => renew(shared, Keeper::ask_anew).await?,
        ["new-authority", "--yes"] => return Err(NOT_OURS.to_owned()),
        ["new-authority"] => return Err(UNSURE.to_owned()),
        _ => {
            let words = words.join(" ");
            return Err(format!("unknown: certs {words}; known are: status, renew, new-authority"));
        }
    }
    let said = Certificates::new(shared).map(|certificates| certificates.to_string());
    Ok(said.map_or_else(|| OFF.to_owned(), |said| said.trim_end().to_owned()))
}

fn is_ours(shared: &Shared) -> Result<bool, String> {
    let keeper = shared.certs.keeper.borrow();
    let keeper = keeper.as_ref().ok_or(OFF)?;
    Ok(matches!(keeper.tls.origin, Origin::SelfCa { .. }))
}

/// A new certificate now, or the operator's files judged now.
async fn renew(shared: &Rc<Shared>, ask: fn(&mut Keeper)) -> Result<(), String> {
    shared.certs.keeper.borrow_mut().as_mut().map(ask).ok_or(OFF)?;
    look(shared).await;
    server::follow(shared).await;
    let keeper = shared.certs.keeper.borrow();
    let keeper = keeper.as_ref().ok_or(OFF)?;
    match (&keeper.trouble, keeper.decision) {
        (Some(trouble), _) => Err(trouble.clone()),
        (None, Decision::AwaitClock) => Err(Degraded::ClockUnset.text().to_owned()),
        (None, Decision::AwaitEntropy) => Err(Degraded::NoEntropy.text().to_owned()),
        (None, Decision::AwaitAddress) => Err(Degraded::NoNetwork.text().to_owned()),
        _ => Ok(()),
    }
}
