//! What `status` says about the certificate.

use std::fmt;

use serde::Serialize;

use super::schedule::Decision;
use crate::config::tls::Origin;
use crate::run::Shared;
use crate::utc::Utc;

#[derive(Debug, Serialize)]
pub(crate) struct Certificates {
    /// "self-ca" or "files".
    mode: &'static str,
    /// The rest of the certificate is absent while there is none.
    serial: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    /// Where this machine renews it.
    next_renewal: Option<String>,
    names: Vec<String>,
    /// What should be among them, and its authority does not permit.
    left_out: Vec<String>,
    /// The device's own authority is there and can sign.
    authority: Option<bool>,
    /// It may sign for this machine alone; those of older releases may for anybody.
    constrained: Option<bool>,
    /// "clock", "entropy" or "address" while one should be made and cannot.
    waits_for: Option<&'static str>,
    last_error: Option<String>,
}

impl Certificates {
    /// `None` while `[tls]` is off.
    pub(crate) fn new(shared: &Shared) -> Option<Self> {
        let tls = shared.config().tls.clone();
        let mode = match tls.origin {
            Origin::Off => return None,
            Origin::SelfCa { .. } => "self-ca",
            Origin::Files(_) => "files",
        };
        let keeper = shared.certs.keeper.borrow();
        let keeper = keeper.as_ref();
        let facts = keeper.and_then(|keeper| Some(&keeper.in_use.as_ref()?.facts));
        let own = keeper.filter(|_| mode == "self-ca");
        let trouble = keeper.and_then(|keeper| keeper.trouble.clone());
        Some(Self {
            mode,
            serial: facts.map(|facts| facts.serial.clone()),
            not_before: facts.map(|facts| Utc(facts.not_before).to_string()),
            not_after: facts.map(|facts| Utc(facts.not_after).to_string()),
            next_renewal: keeper.and_then(|keeper| keeper.due()).map(|due| Utc(due).to_string()),
            names: facts.iter().flat_map(|facts| &facts.names).map(ToString::to_string).collect(),
            left_out: own
                .iter()
                .flat_map(|keeper| keeper.left_out())
                .map(|name| name.to_string())
                .collect(),
            authority: own.map(|keeper| keeper.authority.is_some()),
            constrained: own.and_then(|keeper| Some(keeper.authority.as_ref()?.are_any())),
            waits_for: keeper.and_then(|keeper| match keeper.decision {
                Decision::AwaitClock => Some("clock"),
                Decision::AwaitEntropy => Some("entropy"),
                Decision::AwaitAddress => Some("address"),
                _ => None,
            }),
            last_error: trouble
                .or_else(|| shared.certs.no_store.borrow().clone())
                .or_else(|| shared.certs.shown.borrow().trouble()),
        })
    }
}

impl fmt::Display for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "certificate: {}", self.mode)?;
        match (&self.serial, &self.not_after) {
            (Some(serial), Some(until)) => write!(f, ", serial {serial}, valid until {until}")?,
            _ => write!(f, ", none yet")?,
        }
        if let Some(renewal) = &self.next_renewal {
            write!(f, ", renewal {renewal}")?;
        }
        writeln!(f)?;
        if !self.names.is_empty() {
            writeln!(f, "  names: {}", self.names.join(", "))?;
        }
        if !self.left_out.is_empty() {
            let left_out = self.left_out.join(", ");
            writeln!(f, "  left out, as its authority does not permit them: {left_out}")?;
        }
        if self.authority == Some(false) && self.serial.is_some() {
            writeln!(
                f,
                "  its authority is lost: clients need the new one from the next renewal on"
            )?;
        }
        if let Some(what) = self.waits_for {
            writeln!(f, "  waits for: {what}")?;
        }
        if let Some(error) = &self.last_error {
            writeln!(f, "  last error: {error}")?;
        }
        Ok(())
    }
}
