//! Sees to it that the running server shows the certificate in use: it is asked what it shows, and told
//! where that is another one or none.

use std::io;
use std::rc::Rc;

use holdfast_supervisor::channel::{Control, ToInit};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::State;

use crate::dialogue::Dialogue;
use crate::run::Shared;

/// After this many requests in vain it is trouble, and asked for more rarely.
const ATTEMPTS: u32 = 3;
const ASK_AGAIN_MS: Ms = 60_000;

/// How it stands with one run of the server and one certificate.
#[derive(Debug, Default)]
pub(super) struct Shown {
    run: u32,
    serial: String,
    settled: bool,
    attempts: u32,
    next: Ms,
}

impl Shown {
    /// The server goes on showing another one.
    pub(super) fn trouble(&self) -> Option<String> {
        let in_vain = !self.settled && self.attempts > ATTEMPTS;
        in_vain
            .then(|| format!("the server does not take certificate {}: see its log", self.serial))
    }

    /// A new run or a new certificate begins anew.
    fn is_due(&mut self, run: u32, serial: &str, now: Ms) -> bool {
        if self.run != run || self.serial != serial {
            *self = Self { run, serial: serial.to_owned(), ..Self::default() };
        }
        !self.settled && now >= self.next
    }

    fn asked(&mut self, now: Ms) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts > ATTEMPTS {
            self.next = now + ASK_AGAIN_MS;
        }
    }
}

/// What the server's answers mean.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Serves,
    /// It was started without: before the first certificate, or by a container's own command.
    NoTls,
    Another,
    /// By files that somebody else named.
    NotOurs,
}

/// A server that is coming up is left alone: it reads the files itself, and a signal might end it.
pub(super) async fn follow(shared: &Rc<Shared>) {
    let Some(Ready { slot, run, pid }) = ready(shared) else { return };
    let Some(serial) = shared.certs.serial() else { return };
    if !shared.certs.shown.borrow_mut().is_due(run, &serial, now_ms()) {
        return;
    }
    let settled = match settle(shared, slot, pid, &serial).await {
        Ok(settled) => settled,
        Err(error) => {
            eprintln!("holdfast-agent: the server cannot be asked for its certificate: {error}");
            reload(shared, slot);
            true
        }
    };
    let mut shown = shared.certs.shown.borrow_mut();
    shown.settled = settled;
    shown.asked(now_ms());
}

struct Ready {
    slot: u8,
    run: u32,
    pid: u32,
}

fn ready(shared: &Shared) -> Option<Ready> {
    let snapshot = shared.snapshot.borrow();
    let (slot, server) = snapshot.as_ref()?.service("server")?;
    let up = matches!(server.record.state, State::Ready { .. } | State::Unready { .. });
    Some(Ready { slot: slot as u8, run: server.run, pid: server.pid? }).filter(|_| up)
}

/// True when there is nothing more to do for this run and this certificate.
async fn settle(shared: &Shared, slot: u8, pid: u32, serial: &str) -> io::Result<bool> {
    let directives = shared.certs.directives(&shared.config().tls);
    let ours = directives.iter().find(|(name, _)| *name == "tls-cert-file");
    let ours = ours.map(|(_, file)| file.as_str()).unwrap_or_default();
    let mut server = Dialogue::open(Some(pid)).await?;
    match find(&mut server, ours, serial).await? {
        Finding::Serves | Finding::NotOurs => return Ok(true),
        Finding::Another => reload(shared, slot),
        Finding::NoTls => {
            let words = directives.iter().flat_map(|(name, value)| [*name, value.as_str()]);
            let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(words).collect();
            server.ask(&words).await?;
        }
    }
    Ok(false)
}

async fn find(server: &mut Dialogue, ours: &str, serial: &str) -> io::Result<Finding> {
    let port = server.config("tls-port").await?;
    let file = server.config("tls-cert-file").await?;
    let info = server.info("tls").await?;
    let shown = info.field("tls_server_cert_serial");
    Ok(match (port.as_deref(), file.as_deref()) {
        (Some("0"), _) => Finding::NoTls,
        (_, Some(file)) if file != ours => Finding::NotOurs,
        _ if shown.is_some_and(|shown| shown.eq_ignore_ascii_case(serial)) => Finding::Serves,
        _ => Finding::Another,
    })
}

fn reload(shared: &Shared, slot: u8) {
    if let Err(error) = shared.link.send(&ToInit::Control { slot, what: Control::Reload }) {
        eprintln!("holdfast-agent: cannot have the server read its certificate: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_take_it_is_trouble_and_asked_more_rarely() {
        let mut shown = Shown::default();
        for now in 0..3 {
            assert!(shown.is_due(1, "AB", now) && shown.trouble().is_none());
            shown.asked(now);
        }
        assert!(shown.is_due(1, "AB", 3));
        shown.asked(3);
        assert!(shown.trouble().is_some_and(|trouble| trouble.contains("AB")));
        assert!(!shown.is_due(1, "AB", 4) && shown.is_due(1, "AB", 3 + ASK_AGAIN_MS));
    }

    #[test]
    fn a_new_run_and_a_new_certificate_are_looked_at_again() {
        let mut shown = Shown::default();
        assert!(shown.is_due(1, "AB", 0));
        shown.settled = true;
        assert!(!shown.is_due(1, "AB", 1));
        assert!(shown.is_due(2, "AB", 2));
        shown.settled = true;
        assert!(shown.is_due(2, "CD", 3));
    }
}
